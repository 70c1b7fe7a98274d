CREATE TABLE `abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl` (
  `abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl` int(11) DEFAULT NULL,
  KEY `abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl` (`abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `aria` (
  `a` int(11) NOT NULL,
  `b` text DEFAULT NULL,
  PRIMARY KEY (`a`)
) ENGINE=Aria DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci PAGE_CHECKSUM=0 TRANSACTIONAL=1;

CREATE TABLE `back``tick` (
  `a``b` int(11) DEFAULT NULL,
  `select` int(11) DEFAULT NULL,
  `with space` int(11) DEFAULT NULL,
  `ünï` int(11) DEFAULT NULL,
  `a.b` int(11) DEFAULT NULL,
  `1` int(11) DEFAULT NULL,
  `,` int(11) DEFAULT NULL,
  `)` int(11) DEFAULT NULL,
  `-- x` int(11) DEFAULT NULL,
  `'` int(11) DEFAULT NULL,
  KEY `k``k` (`a``b`,`select`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `binaries` (
  `a` binary(4) DEFAULT NULL,
  `b` varbinary(10) DEFAULT 'abc',
  `c` tinyblob DEFAULT NULL,
  `d` blob DEFAULT NULL,
  `e` mediumblob DEFAULT NULL,
  `f` longblob DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `bits` (
  `a` bit(1) DEFAULT NULL,
  `b` bit(8) DEFAULT b'101',
  `c` bit(64) NOT NULL DEFAULT b'0'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `charsets` (
  `a` varchar(10) DEFAULT NULL,
  `b` varchar(10) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT NULL,
  `c` varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `d` varchar(10) CHARACTER SET latin1 COLLATE latin1_bin DEFAULT NULL,
  `e` text CHARACTER SET ascii COLLATE ascii_general_ci DEFAULT NULL,
  `f` char(4) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci DEFAULT NULL,
  `g` varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `h` enum('ä','ö') CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `charset_general` (
  `a` varchar(10) DEFAULT NULL,
  `b` varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci DEFAULT NULL,
  `c` varchar(10) DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `charset_latin` (
  `a` varchar(10) DEFAULT NULL,
  `b` varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci DEFAULT NULL,
  `c` varchar(5) DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;

CREATE TABLE `checks` (
  `a` int(11) DEFAULT NULL,
  `b` int(11) DEFAULT NULL,
  CONSTRAINT `positive` CHECK (`a` > 0),
  CONSTRAINT `CONSTRAINT_1` CHECK (`a` < `b`),
  CONSTRAINT `it's` CHECK (`b` <> '1')
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `children` (
  `id` int(11) NOT NULL,
  `parent_id` int(11) DEFAULT NULL,
  `code` varchar(10) DEFAULT NULL,
  `region` int(11) DEFAULT NULL,
  `self` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `fk_parent` (`parent_id`),
  KEY `region` (`region`,`code`),
  KEY `self` (`self`),
  CONSTRAINT `children_ibfk_1` FOREIGN KEY (`region`, `code`) REFERENCES `parents` (`region`, `code`) ON UPDATE NO ACTION,
  CONSTRAINT `children_ibfk_2` FOREIGN KEY (`self`) REFERENCES `children` (`id`),
  CONSTRAINT `fk_parent` FOREIGN KEY (`parent_id`) REFERENCES `parents` (`id`) ON DELETE CASCADE ON UPDATE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `comments` (
  `a` int(11) DEFAULT NULL COMMENT 'it''s a "comment"',
  `b` int(11) DEFAULT NULL COMMENT 'ends */ here /*! DROP */',
  `c` int(11) DEFAULT NULL COMMENT 'line\nbreak \\ tab	 and nul\0.',
  `d` int(11) DEFAULT NULL COMMENT '`x` -- no # comment',
  `e` varchar(10) DEFAULT '*/' COMMENT 'ä ö 漢',
  KEY `k` (`a`) COMMENT 'key''s'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='table''s */ /*!50100 PARTITION';

CREATE TABLE `compressed_columns` (
  `a` varchar(1000) /*M!100301 COMPRESSED*/ DEFAULT NULL,
  `b` text /*M!100301 COMPRESSED*/ NOT NULL DEFAULT 'x',
  `c` blob /*M!100301 COMPRESSED*/ DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `counters` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `n` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=1000 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `dates` (
  `a` datetime DEFAULT current_timestamp(),
  `b` date DEFAULT curdate(),
  `c` timestamp NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `d` datetime(3) DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),
  `e` datetime DEFAULT NULL ON UPDATE current_timestamp()
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `decimals` (
  `a` decimal(10,2) DEFAULT NULL,
  `b` decimal(65,30) unsigned DEFAULT NULL,
  `c` float DEFAULT NULL,
  `d` double DEFAULT 10000000000,
  `e` float(7,3) DEFAULT NULL,
  `f` double(10,4) unsigned DEFAULT NULL,
  `g` decimal(10,0) DEFAULT -2,
  `h` double DEFAULT 0.1,
  `i` decimal(5,0) unsigned zerofill DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `default_expressions` (
  `id` int(11) DEFAULT NULL,
  `a` varchar(36) DEFAULT uuid(),
  `b` date DEFAULT curdate(),
  `c` int(11) DEFAULT (1 + 2),
  `d` double DEFAULT (rand() * 10),
  `e` text DEFAULT 'x',
  `f` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT json_array() CHECK (json_valid(`f`)),
  `g` datetime DEFAULT (current_timestamp() + interval 1 day)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `descending` (
  `a` int(11) NOT NULL,
  `b` int(11) NOT NULL,
  PRIMARY KEY (`a` DESC,`b`),
  KEY `d` (`b` DESC)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `emoji` (
  `a` varchar(10) DEFAULT concat('😀'),
  `b` varchar(10) GENERATED ALWAYS AS (concat(`a`,'😀')) VIRTUAL,
  `c` int(11) DEFAULT NULL COMMENT 'é漢',
  CONSTRAINT `CONSTRAINT_1` CHECK (`a` <> '😀')
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='漢字';

CREATE TABLE `emoji_default` (
  `a` varchar(10) DEFAULT 0x78F09F9880273F,
  `b``b` text DEFAULT 'y?\\',
  `c` int(11) NOT NULL,
  `d` varchar(9) CHARACTER SET utf16 COLLATE utf16_general_ci DEFAULT 0xD83DDE0000E4,
  `e` char(3) DEFAULT 'ä?'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `generated_columns` (
  `a` int(11) DEFAULT NULL,
  `b` int(11) GENERATED ALWAYS AS (`a` + 1) VIRTUAL,
  `c` int(11) GENERATED ALWAYS AS (`a` * 2) STORED,
  `d` varchar(20) GENERATED ALWAYS AS (concat('x',`a`)) VIRTUAL COMMENT 'c',
  UNIQUE KEY `c` (`c`),
  KEY `b` (`b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `geometries` (
  `id` int(11) NOT NULL,
  `g` geometry NOT NULL,
  `p` point NOT NULL,
  `l` linestring DEFAULT NULL,
  `a` polygon DEFAULT NULL,
  `mp` multipoint DEFAULT NULL,
  `ml` multilinestring DEFAULT NULL,
  `mpoly` multipolygon DEFAULT NULL,
  `gc` geometrycollection DEFAULT NULL,
  PRIMARY KEY (`id`),
  SPATIAL KEY `sp` (`p`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `ignored_indexes` (
  `a` int(11) DEFAULT NULL,
  `b` int(11) DEFAULT NULL,
  KEY `i` (`a`) IGNORED,
  KEY `j` (`b`) COMMENT 'c' IGNORED
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `indexes` (
  `a` int(11) NOT NULL,
  `b` varchar(100) DEFAULT NULL,
  `c` varchar(100) DEFAULT NULL,
  `d` int(11) NOT NULL,
  PRIMARY KEY (`a`,`d`),
  UNIQUE KEY `u` (`b`),
  KEY `p` (`b`(10),`c`(5)),
  KEY `ds` (`a` DESC,`d`),
  KEY `bt` (`d`) USING BTREE,
  KEY `cm` (`c`) COMMENT 'x',
  FULLTEXT KEY `ft` (`b`,`c`),
  FULLTEXT KEY `ft2` (`c`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `index_block_size` (
  `a` int(11) NOT NULL,
  `b` int(11) DEFAULT NULL,
  PRIMARY KEY (`a`),
  KEY `k` (`b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8;

CREATE TABLE `inline_checks` (
  `a` int(11) DEFAULT NULL CHECK (`a` > 0),
  `b` varchar(20) DEFAULT 'x' CHECK (`b` like '%(x%'),
  `c` int(11) NOT NULL COMMENT 'c' CHECK (`c` in (1,2,3)),
  CONSTRAINT `CONSTRAINT_1` CHECK (`a` <> `c`),
  CONSTRAINT `named` CHECK (`b` <> 'y')
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `integers` (
  `id` int(11) NOT NULL,
  `a` tinyint(4) DEFAULT NULL,
  `b` tinyint(3) unsigned DEFAULT NULL,
  `c` smallint(6) NOT NULL,
  `d` mediumint(8) unsigned DEFAULT 7,
  `e` bigint(20) DEFAULT -1,
  `f` int(5) unsigned zerofill DEFAULT NULL,
  `g` tinyint(1) NOT NULL DEFAULT 1,
  `h` tinyint(1) DEFAULT NULL,
  `i` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (`id`),
  UNIQUE KEY `i` (`i`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `invisible_columns` (
  `id` int(11) NOT NULL,
  `a` int(11) INVISIBLE DEFAULT NULL,
  `b` int(11) NOT NULL INVISIBLE DEFAULT 5 COMMENT 'hidden',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `json_columns` (
  `a` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`a`)),
  `b` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL CHECK (json_valid(`b`)),
  `c` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT '{}' COMMENT 'j' CHECK (json_valid(`c`)),
  `d` varchar(20) GENERATED ALWAYS AS (json_value(`a`,'$.n')) VIRTUAL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `long_unique` (
  `a` text DEFAULT NULL,
  `b` blob DEFAULT NULL,
  UNIQUE KEY `a` (`a`) USING HASH,
  UNIQUE KEY `u2` (`a`,`b`) USING HASH
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `maria_types` (
  `a` inet6 DEFAULT '::1',
  `b` uuid DEFAULT NULL,
  `c` uuid DEFAULT uuid(),
  `d` inet4 DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `memory_engine` (
  `a` int(11) DEFAULT NULL,
  `b` int(11) DEFAULT NULL,
  KEY `a` (`a`) USING HASH,
  KEY `b` (`b`) USING BTREE
) ENGINE=MEMORY DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `no_key` (
  `a` int(11) DEFAULT NULL,
  `b` varchar(5) DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `only_unique` (
  `a` int(11) NOT NULL,
  `b` int(11) DEFAULT NULL,
  UNIQUE KEY `a` (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `order` (
  `group` int(11) NOT NULL,
  `key` varchar(10) DEFAULT NULL,
  PRIMARY KEY (`group`),
  UNIQUE KEY `primary key` (`key`,`group`),
  KEY `index` (`key`(3))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `other_engine` (
  `a` int(11) DEFAULT NULL,
  `b` char(3) DEFAULT NULL,
  KEY `a` (`a`)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci PACK_KEYS=1 DELAY_KEY_WRITE=1;

CREATE TABLE `page_compressed` (
  `a` int(11) NOT NULL,
  PRIMARY KEY (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci `PAGE_COMPRESSED`=1 `PAGE_COMPRESSION_LEVEL`=4;

CREATE TABLE `parents` (
  `id` int(11) NOT NULL,
  `code` varchar(10) NOT NULL,
  `region` int(11) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `code` (`code`),
  UNIQUE KEY `region` (`region`,`code`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `partition_columns` (
  `id` int(11) NOT NULL,
  `d` date NOT NULL,
  PRIMARY KEY (`id`,`d`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
 PARTITION BY RANGE  COLUMNS(`d`)
(PARTITION `p0` VALUES LESS THAN ('2020-01-01') ENGINE = InnoDB,
 PARTITION `p1` VALUES LESS THAN (MAXVALUE) ENGINE = InnoDB);

CREATE TABLE `partition_hash` (
  `id` int(11) NOT NULL,
  `n` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
 PARTITION BY HASH (`id`)
PARTITIONS 4;

CREATE TABLE `partition_key` (
  `id` int(11) NOT NULL,
  `n` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
 PARTITION BY LINEAR KEY (`id`)
PARTITIONS 2;

CREATE TABLE `partition_list` (
  `id` int(11) DEFAULT NULL,
  `region` int(11) DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
 PARTITION BY LIST (`region`)
(PARTITION `north` VALUES IN (NULL,1,2) ENGINE = InnoDB,
 PARTITION `so``uth` VALUES IN (3) ENGINE = InnoDB);

CREATE TABLE `partition_range` (
  `id` int(11) NOT NULL,
  `d` date NOT NULL,
  PRIMARY KEY (`id`,`d`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
 PARTITION BY RANGE (year(`d`))
(PARTITION `p0` VALUES LESS THAN (2020) COMMENT = 'old\'s */ ones' ENGINE = InnoDB,
 PARTITION `p1` VALUES LESS THAN MAXVALUE ENGINE = InnoDB);

CREATE TABLE `persistent` (
  `a` int(11) DEFAULT NULL,
  `b` int(11) GENERATED ALWAYS AS (`a` + 1) STORED,
  `c` varchar(30) GENERATED ALWAYS AS (ucase('x')) VIRTUAL INVISIBLE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `srids` (
  `id` int(11) NOT NULL,
  `p` point NOT NULL,
  `q` point NOT NULL,
  PRIMARY KEY (`id`),
  SPATIAL KEY `p` (`p`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `strings` (
  `a` char(3) DEFAULT NULL,
  `b` varchar(20) NOT NULL DEFAULT '',
  `c` varchar(20) DEFAULT 'NULL',
  `d` varchar(40) DEFAULT 'CURRENT_TIMESTAMP',
  `e` tinytext DEFAULT NULL,
  `f` text DEFAULT NULL,
  `g` mediumtext DEFAULT NULL,
  `h` longtext NOT NULL,
  `i` enum('a','b''c','d,e','f\\g') DEFAULT 'b''c',
  `j` set('x','y') NOT NULL DEFAULT 'x,y',
  `k` char(0) DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `subpartitions` (
  `id` int(11) DEFAULT NULL,
  `d` date DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
 PARTITION BY RANGE (year(`d`))
SUBPARTITION BY HASH (to_days(`d`))
SUBPARTITIONS 2
(PARTITION `p0` VALUES LESS THAN (2000) ENGINE = InnoDB,
 PARTITION `p1` VALUES LESS THAN MAXVALUE ENGINE = InnoDB);

CREATE TABLE `table_options` (
  `a` int(11) NOT NULL,
  `b` varchar(10) DEFAULT NULL,
  PRIMARY KEY (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci MIN_ROWS=10 MAX_ROWS=1000 AVG_ROW_LENGTH=100 STATS_PERSISTENT=1 STATS_AUTO_RECALC=0 STATS_SAMPLE_PAGES=20 CHECKSUM=1 ROW_FORMAT=DYNAMIC COMMENT='options';

CREATE TABLE `text_defaults` (
  `a` text DEFAULT 'x',
  `b` blob DEFAULT 'y',
  `c` text NOT NULL DEFAULT concat('a','b'),
  `d` int(11) DEFAULT (`a` is null),
  `e` int(11) NOT NULL DEFAULT -1,
  `f` double DEFAULT -1.5e300,
  `g` bit(3) DEFAULT b'101',
  `h` int(11) DEFAULT -1,
  `i` int(11) DEFAULT (1 in (2,3))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `times` (
  `a` date DEFAULT NULL,
  `b` datetime DEFAULT NULL,
  `c` datetime(6) DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
  `d` timestamp NULL DEFAULT NULL,
  `e` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `f` time(3) DEFAULT '12:00:00.000',
  `g` year(4) DEFAULT NULL,
  `h` datetime DEFAULT '2020-01-01 00:00:00',
  `i` timestamp NULL DEFAULT NULL,
  `j` timestamp(3) NOT NULL DEFAULT '2001-02-03 04:05:06.789',
  `k` date DEFAULT '0000-00-00'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE `uca1400` (
  `a` varchar(10) DEFAULT NULL,
  `b` varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_as_cs DEFAULT NULL,
  `c` varchar(10) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_uca1400_ai_ci;

