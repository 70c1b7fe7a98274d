ALTER TABLE t DROP KEY a, ADD KEY b (b(8)), ADD KEY ba (b, a DESC);
