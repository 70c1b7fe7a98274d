-- base
CREATE TABLE t (a INT) COMMENT='one';
-- branch
ALTER TABLE t COMMENT='two';
-- production
ALTER TABLE t COMMENT='three';
-- expect conflict
-- reason COMMENT
