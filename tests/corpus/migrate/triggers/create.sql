-- triggers of every kind go with the table's name
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL,
  w INT NOT NULL DEFAULT 0
);
CREATE TABLE noted (
  n INT NOT NULL,
  what VARCHAR(20) NOT NULL,
  v INT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n}, 0);
CREATE TRIGGER t_before_insert BEFORE INSERT ON t FOR EACH ROW SET NEW.w = NEW.v + 1;
CREATE TRIGGER t_before_update BEFORE UPDATE ON t FOR EACH ROW SET NEW.w = NEW.v + 2;
CREATE TRIGGER t_after_insert AFTER INSERT ON t FOR EACH ROW INSERT INTO noted VALUES (NEW.id, 'insert', NEW.v);
CREATE TRIGGER t_after_update AFTER UPDATE ON t FOR EACH ROW INSERT INTO noted VALUES (NEW.id, 'update', OLD.v);
CREATE TRIGGER t_after_delete AFTER DELETE ON t FOR EACH ROW INSERT INTO noted VALUES (OLD.id, 'delete', OLD.v);
