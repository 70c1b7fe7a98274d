-- base
CREATE TABLE p (id INT PRIMARY KEY);
CREATE TABLE c (id INT PRIMARY KEY);
-- branch
ALTER TABLE c ADD COLUMN p INT REFERENCES p (id);
-- expect proved
-- plan FOREIGN KEY (`p`) REFERENCES `p` (`id`)
