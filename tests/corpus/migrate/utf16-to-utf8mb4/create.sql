-- text of two bytes a letter
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(40) CHARACTER SET utf16 NOT NULL,
  w CHAR(10) CHARACTER SET ucs2 NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, CONCAT('snow ☃ 😀 ', {n}), '  ä ');
