"""I name the collations by which clients say, in one or two bytes, how they write text.

The numbers are those of information_schema.COLLATIONS, the same on every server except for the few that
MariaDB has in its own way (tests/proxy/test_trackers.py compares them with real servers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CharsetNames:
    """A character set and one of its collations; `collation` empty: the character set's default one."""

    charset: str
    collation: str = ""


def charset_names(number: int, *, mariadb: bool) -> CharsetNames | None:
    """Name the collation with this number; None for one that the server does not know.

    A server takes its own default for such a client; it refuses clients that would write in UCS-2, UTF-16 or
    UTF-32.
    """
    name = (_MARIADB.get(number) or _COLLATIONS.get(number)) if mariadb else _COLLATIONS.get(number)
    if name is None or (mariadb and number in _NOT_IN_MARIADB):
        return None
    return CharsetNames(name.partition("_")[0], name)


_NUMBERS_AND_NAMES: Final = """
    1 big5_chinese_ci latin2_czech_cs dec8_swedish_ci cp850_general_ci latin1_german1_ci hp8_english_ci
    koi8r_general_ci latin1_swedish_ci latin2_general_ci swe7_swedish_ci ascii_general_ci ujis_japanese_ci
    sjis_japanese_ci cp1251_bulgarian_ci latin1_danish_ci hebrew_general_ci 18 tis620_thai_ci
    euckr_korean_ci latin7_estonian_cs latin2_hungarian_ci koi8u_general_ci cp1251_ukrainian_ci
    gb2312_chinese_ci greek_general_ci cp1250_general_ci latin2_croatian_ci gbk_chinese_ci
    cp1257_lithuanian_ci latin5_turkish_ci latin1_german2_ci armscii8_general_ci utf8mb3_general_ci
    cp1250_czech_cs 36 cp866_general_ci keybcs2_general_ci macce_general_ci macroman_general_ci
    cp852_general_ci latin7_general_ci latin7_general_cs macce_bin cp1250_croatian_ci utf8mb4_general_ci
    utf8mb4_bin latin1_bin latin1_general_ci latin1_general_cs cp1251_bin cp1251_general_ci
    cp1251_general_cs macroman_bin 57 cp1256_general_ci cp1257_bin cp1257_general_ci 63 binary armscii8_bin
    ascii_bin cp1250_bin cp1256_bin cp866_bin dec8_bin greek_bin hebrew_bin hp8_bin keybcs2_bin koi8r_bin
    koi8u_bin utf8mb3_tolower_ci latin2_bin latin5_bin latin7_bin cp850_bin cp852_bin swe7_bin utf8mb3_bin
    big5_bin euckr_bin gb2312_bin gbk_bin sjis_bin tis620_bin 91 ujis_bin geostd8_general_ci geostd8_bin
    latin1_spanish_ci cp932_japanese_ci cp932_bin eucjpms_japanese_ci eucjpms_bin cp1250_polish_ci 192
    utf8mb3_unicode_ci utf8mb3_icelandic_ci utf8mb3_latvian_ci utf8mb3_romanian_ci utf8mb3_slovenian_ci
    utf8mb3_polish_ci utf8mb3_estonian_ci utf8mb3_spanish_ci utf8mb3_swedish_ci utf8mb3_turkish_ci
    utf8mb3_czech_ci utf8mb3_danish_ci utf8mb3_lithuanian_ci utf8mb3_slovak_ci utf8mb3_spanish2_ci
    utf8mb3_roman_ci utf8mb3_persian_ci utf8mb3_esperanto_ci utf8mb3_hungarian_ci utf8mb3_sinhala_ci
    utf8mb3_german2_ci utf8mb3_croatian_ci utf8mb3_unicode_520_ci utf8mb3_vietnamese_ci 223
    utf8mb3_general_mysql500_ci utf8mb4_unicode_ci utf8mb4_icelandic_ci utf8mb4_latvian_ci
    utf8mb4_romanian_ci utf8mb4_slovenian_ci utf8mb4_polish_ci utf8mb4_estonian_ci utf8mb4_spanish_ci
    utf8mb4_swedish_ci utf8mb4_turkish_ci utf8mb4_czech_ci utf8mb4_danish_ci utf8mb4_lithuanian_ci
    utf8mb4_slovak_ci utf8mb4_spanish2_ci utf8mb4_roman_ci utf8mb4_persian_ci utf8mb4_esperanto_ci
    utf8mb4_hungarian_ci utf8mb4_sinhala_ci utf8mb4_german2_ci utf8mb4_croatian_ci utf8mb4_unicode_520_ci
    utf8mb4_vietnamese_ci gb18030_chinese_ci gb18030_bin gb18030_unicode_520_ci 255 utf8mb4_0900_ai_ci
    utf8mb4_de_pb_0900_ai_ci utf8mb4_is_0900_ai_ci utf8mb4_lv_0900_ai_ci utf8mb4_ro_0900_ai_ci
    utf8mb4_sl_0900_ai_ci utf8mb4_pl_0900_ai_ci utf8mb4_et_0900_ai_ci utf8mb4_es_0900_ai_ci
    utf8mb4_sv_0900_ai_ci utf8mb4_tr_0900_ai_ci utf8mb4_cs_0900_ai_ci utf8mb4_da_0900_ai_ci
    utf8mb4_lt_0900_ai_ci utf8mb4_sk_0900_ai_ci utf8mb4_es_trad_0900_ai_ci utf8mb4_la_0900_ai_ci 273
    utf8mb4_eo_0900_ai_ci utf8mb4_hu_0900_ai_ci utf8mb4_hr_0900_ai_ci 277 utf8mb4_vi_0900_ai_ci
    utf8mb4_0900_as_cs utf8mb4_de_pb_0900_as_cs utf8mb4_is_0900_as_cs utf8mb4_lv_0900_as_cs
    utf8mb4_ro_0900_as_cs utf8mb4_sl_0900_as_cs utf8mb4_pl_0900_as_cs utf8mb4_et_0900_as_cs
    utf8mb4_es_0900_as_cs utf8mb4_sv_0900_as_cs utf8mb4_tr_0900_as_cs utf8mb4_cs_0900_as_cs
    utf8mb4_da_0900_as_cs utf8mb4_lt_0900_as_cs utf8mb4_sk_0900_as_cs utf8mb4_es_trad_0900_as_cs
    utf8mb4_la_0900_as_cs 296 utf8mb4_eo_0900_as_cs utf8mb4_hu_0900_as_cs utf8mb4_hr_0900_as_cs 300
    utf8mb4_vi_0900_as_cs 303 utf8mb4_ja_0900_as_cs utf8mb4_ja_0900_as_cs_ks utf8mb4_0900_as_ci
    utf8mb4_ru_0900_ai_ci utf8mb4_ru_0900_as_cs utf8mb4_zh_0900_as_cs utf8mb4_0900_bin utf8mb4_nb_0900_ai_ci
    utf8mb4_nb_0900_as_cs utf8mb4_nn_0900_ai_ci utf8mb4_nn_0900_as_cs utf8mb4_sr_latn_0900_ai_ci
    utf8mb4_sr_latn_0900_as_cs utf8mb4_bs_0900_ai_ci utf8mb4_bs_0900_as_cs utf8mb4_bg_0900_ai_ci
    utf8mb4_bg_0900_as_cs utf8mb4_gl_0900_ai_ci utf8mb4_gl_0900_as_cs utf8mb4_mn_cyrl_0900_ai_ci
    utf8mb4_mn_cyrl_0900_as_cs
"""
"""Each number is that of the name behind it; the names that follow count on."""


def _collations() -> dict[int, str]:
    names: dict[int, str] = {}
    number = 0
    for word in _NUMBERS_AND_NAMES.split():
        if word.isdecimal():
            number = int(word)
        else:
            names[number] = word
            number += 1
    return names


_COLLATIONS: Final = _collations()
_MARIADB: Final = {
    213: "utf8mb3_croatian_mysql561_ci",
    245: "utf8mb4_croatian_mysql561_ci",
}
_NOT_IN_MARIADB: Final = frozenset({76, *range(248, 256), *range(256, 576)})
