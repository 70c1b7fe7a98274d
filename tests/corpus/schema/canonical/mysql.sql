CREATE TABLE `abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl` (
  `abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl` int DEFAULT NULL,
  KEY `abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl` (`abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `back``tick` (
  `a``b` int DEFAULT NULL,
  `select` int DEFAULT NULL,
  `with space` int DEFAULT NULL,
  `ünï` int DEFAULT NULL,
  `a.b` int DEFAULT NULL,
  `1` int DEFAULT NULL,
  `,` int DEFAULT NULL,
  `)` int DEFAULT NULL,
  `-- x` int DEFAULT NULL,
  `'` int DEFAULT NULL,
  KEY `k``k` (`a``b`,`select`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `binaries` (
  `a` binary(4) DEFAULT NULL,
  `b` varbinary(10) DEFAULT 'abc',
  `c` tinyblob,
  `d` blob,
  `e` mediumblob,
  `f` longblob
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `binary_charset` (
  `a` varbinary(10) DEFAULT NULL,
  `b` blob,
  `c` char(3) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=binary;

CREATE TABLE `bits` (
  `a` bit(1) DEFAULT NULL,
  `b` bit(8) DEFAULT b'101',
  `c` bit(64) NOT NULL DEFAULT b'0'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `charset_general` (
  `a` varchar(10) COLLATE utf8mb4_unicode_ci DEFAULT NULL,
  `b` varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci DEFAULT NULL,
  `c` varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `charset_latin` (
  `a` varchar(10) DEFAULT NULL,
  `b` varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci DEFAULT NULL,
  `c` varchar(5) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE `charsets` (
  `a` varchar(10) DEFAULT NULL,
  `b` varchar(10) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT NULL,
  `c` varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `d` varchar(10) CHARACTER SET latin1 COLLATE latin1_bin DEFAULT NULL,
  `e` text CHARACTER SET ascii COLLATE ascii_general_ci,
  `f` char(4) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci DEFAULT NULL,
  `g` varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `h` enum('ä','ö') CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `checks` (
  `a` int DEFAULT NULL,
  `b` int DEFAULT NULL,
  CONSTRAINT `checks_chk_1` CHECK ((`a` < `b`)),
  CONSTRAINT `it's` CHECK ((`b` <> _utf8mb4'1')),
  CONSTRAINT `positive` CHECK ((`a` > 0))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `children` (
  `id` int NOT NULL,
  `parent_id` int DEFAULT NULL,
  `code` varchar(10) DEFAULT NULL,
  `region` int DEFAULT NULL,
  `self` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `fk_parent` (`parent_id`),
  KEY `region` (`region`,`code`),
  KEY `self` (`self`),
  CONSTRAINT `children_ibfk_1` FOREIGN KEY (`region`, `code`) REFERENCES `parents` (`region`, `code`) ON DELETE RESTRICT,
  CONSTRAINT `children_ibfk_2` FOREIGN KEY (`self`) REFERENCES `children` (`id`),
  CONSTRAINT `fk_parent` FOREIGN KEY (`parent_id`) REFERENCES `parents` (`id`) ON DELETE CASCADE ON UPDATE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `column_formats` (
  `a` int /*!50606 STORAGE DISK */ /*!50606 COLUMN_FORMAT DYNAMIC */ DEFAULT NULL,
  `b` int /*!50606 COLUMN_FORMAT FIXED */ DEFAULT '3' COMMENT 'x',
  `c` int DEFAULT '7' /*!80023 INVISIBLE */,
  `d` int NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `comments` (
  `a` int DEFAULT NULL COMMENT 'it''s a "comment"',
  `b` int DEFAULT NULL COMMENT 'ends */ here /*! DROP */',
  `c` int DEFAULT NULL COMMENT 'line\nbreak \\ tab	 and nul\0.',
  `d` int DEFAULT NULL COMMENT '`x` -- no # comment',
  `e` varchar(10) DEFAULT '*/' COMMENT 'ä ö 漢',
  KEY `k` (`a`) COMMENT 'key''s'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='table''s */ /*!50100 PARTITION';

CREATE TABLE `compression` (
  `a` int NOT NULL,
  PRIMARY KEY (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMPRESSION='zlib';

CREATE TABLE `counters` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `n` int DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=1000 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `decimals` (
  `a` decimal(10,2) DEFAULT NULL,
  `b` decimal(65,30) unsigned DEFAULT NULL,
  `c` float DEFAULT NULL,
  `d` double DEFAULT '10000000000',
  `e` float(7,3) DEFAULT NULL,
  `f` double(10,4) unsigned DEFAULT NULL,
  `g` decimal(10,0) DEFAULT '-2',
  `h` double DEFAULT '0.1',
  `i` decimal(5,0) unsigned zerofill DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `default_expressions` (
  `id` int DEFAULT NULL,
  `a` varchar(36) DEFAULT (uuid()),
  `b` date DEFAULT (curdate()),
  `c` int DEFAULT ((1 + 2)),
  `d` double DEFAULT ((rand() * 10)),
  `e` text DEFAULT (_utf8mb4'x'),
  `f` json DEFAULT (json_array()),
  `g` datetime DEFAULT ((now() + interval 1 day))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `emoji` (
  `a` varchar(10) DEFAULT 0x78F09F9880,
  `b` varchar(10) GENERATED ALWAYS AS (concat(`a`,_utf8mb4'😀')) VIRTUAL,
  `c` int DEFAULT NULL COMMENT 'é漢',
  `d` varchar(10) DEFAULT (_utf8mb4'😀'),
  `e` enum('é','漢') DEFAULT NULL,
  CONSTRAINT `emoji_chk_1` CHECK ((`a` <> _utf8mb4'😀'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='漢字';

CREATE TABLE `explicit_collation` (
  `a` varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci DEFAULT NULL,
  `b` varchar(10) DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `functional_indexes` (
  `a` int DEFAULT NULL,
  `b` varchar(20) DEFAULT NULL,
  `j` json DEFAULT NULL,
  UNIQUE KEY `h` ((cast(json_extract(`j`,_utf8mb4'$.x') as unsigned))),
  KEY `f` (((`a` + 1))),
  KEY `g` ((lower(`b`)) DESC,`a`),
  KEY `arr` ((cast(json_extract(`j`,_utf8mb4'$.tags') as unsigned array)))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `generated_columns` (
  `a` int DEFAULT NULL,
  `b` int GENERATED ALWAYS AS ((`a` + 1)) VIRTUAL,
  `c` int GENERATED ALWAYS AS ((`a` * 2)) STORED,
  `d` varchar(20) GENERATED ALWAYS AS (concat(_utf8mb4'x',`a`)) VIRTUAL COMMENT 'c',
  UNIQUE KEY `c` (`c`),
  KEY `b` (`b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `generated_not_null` (
  `a` int DEFAULT NULL,
  `e` int GENERATED ALWAYS AS ((`a` + 2)) STORED NOT NULL,
  `f` int GENERATED ALWAYS AS ((`a` + 3)) VIRTUAL NOT NULL /*!80023 INVISIBLE */ COMMENT 'f'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `geometries` (
  `id` int NOT NULL,
  `g` geometry NOT NULL,
  `p` point NOT NULL,
  `l` linestring DEFAULT NULL,
  `a` polygon DEFAULT NULL,
  `mp` multipoint DEFAULT NULL,
  `ml` multilinestring DEFAULT NULL,
  `mpoly` multipolygon DEFAULT NULL,
  `gc` geomcollection DEFAULT NULL,
  PRIMARY KEY (`id`),
  SPATIAL KEY `sp` (`p`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `index_block_size` (
  `a` int NOT NULL,
  `b` int DEFAULT NULL,
  PRIMARY KEY (`a`),
  KEY `k` (`b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8;

CREATE TABLE `indexes` (
  `a` int NOT NULL,
  `b` varchar(100) DEFAULT NULL,
  `c` varchar(100) DEFAULT NULL,
  `d` int NOT NULL,
  PRIMARY KEY (`a`,`d`),
  UNIQUE KEY `u` (`b`),
  KEY `p` (`b`(10),`c`(5)),
  KEY `ds` (`a` DESC,`d`),
  KEY `bt` (`d`) USING BTREE,
  KEY `cm` (`c`) COMMENT 'x',
  FULLTEXT KEY `ft` (`b`,`c`),
  FULLTEXT KEY `ft2` (`c`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `inline_checks` (
  `a` int DEFAULT NULL,
  `b` varchar(20) DEFAULT NULL,
  `c` int NOT NULL,
  CONSTRAINT `inline_checks_chk_1` CHECK ((`a` > 0)),
  CONSTRAINT `inline_checks_chk_2` CHECK ((`b` like _utf8mb4'%(x%')),
  CONSTRAINT `inline_checks_chk_3` CHECK ((`c` in (1,2,3)))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `integers` (
  `id` int NOT NULL,
  `a` tinyint DEFAULT NULL,
  `b` tinyint unsigned DEFAULT NULL,
  `c` smallint NOT NULL,
  `d` mediumint unsigned DEFAULT '7',
  `e` bigint DEFAULT '-1',
  `f` int(5) unsigned zerofill DEFAULT NULL,
  `g` tinyint(1) NOT NULL DEFAULT '1',
  `h` tinyint(1) DEFAULT NULL,
  `i` bigint unsigned NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (`id`),
  UNIQUE KEY `i` (`i`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `invisible_columns` (
  `id` int NOT NULL,
  `a` int DEFAULT NULL /*!80023 INVISIBLE */,
  `b` int NOT NULL DEFAULT '5' /*!80023 INVISIBLE */ COMMENT 'hidden',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `invisible_indexes` (
  `a` int DEFAULT NULL,
  `b` int DEFAULT NULL,
  UNIQUE KEY `u` (`a`,`b`) /*!80000 INVISIBLE */,
  KEY `i` (`a`) /*!80000 INVISIBLE */,
  KEY `j` (`b`) COMMENT 'c' /*!80000 INVISIBLE */
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `invisible_key` (
  `my_row_id` bigint unsigned NOT NULL AUTO_INCREMENT /*!80023 INVISIBLE */,
  `a` int DEFAULT NULL,
  PRIMARY KEY (`my_row_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `json_columns` (
  `a` json DEFAULT NULL,
  `b` json NOT NULL,
  `c` int GENERATED ALWAYS AS (json_unquote(json_extract(`a`,_utf8mb4'$.n'))) VIRTUAL,
  `d` varchar(20) GENERATED ALWAYS AS (json_unquote(json_extract(`a`,_utf8mb4'$.name'))) STORED
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `memory_engine` (
  `a` int DEFAULT NULL,
  `b` int DEFAULT NULL,
  KEY `a` (`a`) USING HASH,
  KEY `b` (`b`) USING BTREE
) ENGINE=MEMORY DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `no_key` (
  `a` int DEFAULT NULL,
  `b` varchar(5) DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `non_primary_collation` (
  `a` varchar(10) COLLATE utf8mb4_da_0900_ai_ci DEFAULT NULL,
  `b` varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_da_0900_ai_ci;

CREATE TABLE `not_enforced` (
  `a` int DEFAULT NULL,
  CONSTRAINT `c` CHECK ((`a` > 0)) /*!80016 NOT ENFORCED */
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `only_unique` (
  `a` int NOT NULL,
  `b` int DEFAULT NULL,
  UNIQUE KEY `a` (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `order` (
  `group` int NOT NULL,
  `key` varchar(10) DEFAULT NULL,
  PRIMARY KEY (`group`),
  UNIQUE KEY `primary key` (`key`,`group`),
  KEY `index` (`key`(3))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `other_engine` (
  `a` int DEFAULT NULL,
  `b` char(3) DEFAULT NULL,
  KEY `a` (`a`)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci PACK_KEYS=1 DELAY_KEY_WRITE=1;

CREATE TABLE `parents` (
  `id` int NOT NULL,
  `code` varchar(10) NOT NULL,
  `region` int NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `code` (`code`),
  UNIQUE KEY `region` (`region`,`code`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `parsers` (
  `id` int NOT NULL,
  `t` text,
  PRIMARY KEY (`id`),
  FULLTEXT KEY `n` (`t`) /*!50100 WITH PARSER `ngram` */ ,
  FULLTEXT KEY `m` (`t`) COMMENT 'c' /*!80000 INVISIBLE */ /*!50100 WITH PARSER `ngram` */ 
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `partition_columns` (
  `id` int NOT NULL,
  `d` date NOT NULL,
  PRIMARY KEY (`id`,`d`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
/*!50500 PARTITION BY RANGE  COLUMNS(d)
(PARTITION p0 VALUES LESS THAN ('2020-01-01') ENGINE = InnoDB,
 PARTITION p1 VALUES LESS THAN (MAXVALUE) ENGINE = InnoDB) */;

CREATE TABLE `partition_hash` (
  `id` int NOT NULL,
  `n` int DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
/*!50100 PARTITION BY HASH (`id`)
PARTITIONS 4 */;

CREATE TABLE `partition_key` (
  `id` int NOT NULL,
  `n` int DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
/*!50100 PARTITION BY LINEAR KEY (id)
PARTITIONS 2 */;

CREATE TABLE `partition_list` (
  `id` int DEFAULT NULL,
  `region` int DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
/*!50100 PARTITION BY LIST (`region`)
(PARTITION north VALUES IN (NULL,1,2) ENGINE = InnoDB,
 PARTITION `so``uth` VALUES IN (3) ENGINE = InnoDB) */;

CREATE TABLE `partition_range` (
  `id` int NOT NULL,
  `d` date NOT NULL,
  PRIMARY KEY (`id`,`d`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
/*!50100 PARTITION BY RANGE (year(`d`))
(PARTITION p0 VALUES LESS THAN (2020) COMMENT = 'old\'s */ ones' ENGINE = InnoDB,
 PARTITION p1 VALUES LESS THAN MAXVALUE ENGINE = InnoDB) */;

CREATE TABLE `srids` (
  `id` int NOT NULL,
  `p` point NOT NULL /*!80003 SRID 4326 */,
  `q` geometry /*!80003 SRID 0 */ DEFAULT NULL,
  PRIMARY KEY (`id`),
  SPATIAL KEY `p` (`p`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `strings` (
  `a` char(3) DEFAULT NULL,
  `b` varchar(20) NOT NULL DEFAULT '',
  `c` varchar(20) DEFAULT 'NULL',
  `d` varchar(40) DEFAULT 'CURRENT_TIMESTAMP',
  `e` tinytext,
  `f` text,
  `g` mediumtext,
  `h` longtext NOT NULL,
  `i` enum('a','b''c','d,e','f\\g') DEFAULT 'b''c',
  `j` set('x','y') NOT NULL DEFAULT 'x,y',
  `k` char(0) DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `subpartitions` (
  `id` int DEFAULT NULL,
  `d` date DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
/*!50100 PARTITION BY RANGE (year(`d`))
SUBPARTITION BY HASH (to_days(`d`))
SUBPARTITIONS 2
(PARTITION p0 VALUES LESS THAN (2000) ENGINE = InnoDB,
 PARTITION p1 VALUES LESS THAN MAXVALUE ENGINE = InnoDB) */;

CREATE TABLE `table_options` (
  `a` int NOT NULL,
  `b` varchar(10) DEFAULT NULL,
  PRIMARY KEY (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci MIN_ROWS=10 MAX_ROWS=1000 AVG_ROW_LENGTH=100 STATS_PERSISTENT=1 STATS_AUTO_RECALC=0 STATS_SAMPLE_PAGES=20 CHECKSUM=1 ROW_FORMAT=DYNAMIC COMMENT='options';

CREATE TABLE `times` (
  `a` date DEFAULT NULL,
  `b` datetime DEFAULT NULL,
  `c` datetime(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  `d` timestamp NULL DEFAULT NULL,
  `e` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `f` time(3) DEFAULT '12:00:00.000',
  `g` year DEFAULT NULL,
  `h` datetime DEFAULT '2020-01-01 00:00:00',
  `i` timestamp NULL DEFAULT NULL,
  `j` timestamp(3) NOT NULL DEFAULT '2001-02-03 04:05:06.789',
  `k` date DEFAULT '0000-00-00'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `vectors` (
  `id` int NOT NULL,
  `v` vector(3) DEFAULT NULL,
  `w` vector(2048) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

