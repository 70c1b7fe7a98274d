ALTER TABLE t ADD KEY small ((LOWER(mail)));
