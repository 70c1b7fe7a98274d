-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT);
-- branch
ALTER TABLE t ADD KEY a1 (a), ADD KEY a2 (a), ADD KEY a3 (a), ADD KEY a4 (a), ADD KEY a5 (a), ADD KEY a6 (a), ADD KEY a7 (a), ADD KEY a8 (a), ADD KEY a9 (a), ADD KEY a10 (a), ADD KEY a11 (a), ADD KEY a12 (a), ADD KEY a13 (a), ADD KEY a14 (a), ADD KEY a15 (a), ADD KEY a16 (a), ADD KEY a17 (a), ADD KEY a18 (a), ADD KEY a19 (a), ADD KEY a20 (a), ADD KEY a21 (a), ADD KEY a22 (a), ADD KEY a23 (a), ADD KEY a24 (a), ADD KEY a25 (a), ADD KEY a26 (a), ADD KEY a27 (a), ADD KEY a28 (a), ADD KEY a29 (a), ADD KEY a30 (a), ADD KEY a31 (a), ADD KEY a32 (a);
-- production
ALTER TABLE t ADD KEY b1 (a), ADD KEY b2 (a), ADD KEY b3 (a), ADD KEY b4 (a), ADD KEY b5 (a), ADD KEY b6 (a), ADD KEY b7 (a), ADD KEY b8 (a), ADD KEY b9 (a), ADD KEY b10 (a), ADD KEY b11 (a), ADD KEY b12 (a), ADD KEY b13 (a), ADD KEY b14 (a), ADD KEY b15 (a), ADD KEY b16 (a), ADD KEY b17 (a), ADD KEY b18 (a), ADD KEY b19 (a), ADD KEY b20 (a), ADD KEY b21 (a), ADD KEY b22 (a), ADD KEY b23 (a), ADD KEY b24 (a), ADD KEY b25 (a), ADD KEY b26 (a), ADD KEY b27 (a), ADD KEY b28 (a), ADD KEY b29 (a), ADD KEY b30 (a), ADD KEY b31 (a), ADD KEY b32 (a);
-- expect conflict
-- reason 64
