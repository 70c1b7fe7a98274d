UPDATE t SET j = '[{r:1..99}]' WHERE id = {n} AND id <> 199;
