//! The code pages that the Encoding Standard leaves out, as CPython and glibc have them.
//!
//! The tests compare them with both. A row is 16 bytes, from 0x80 on or, in EBCDIC, from 0x00 on.

/// The upper half of IBM's code page 437; the lower is ASCII.
pub(super) const CP437: &str = "\
    ÇüéâäàåçêëèïîìÄÅ\
    ÉæÆôöòûùÿÖÜ¢£¥₧ƒ\
    áíóúñÑªº¿⌐¬½¼¡«»\
    ░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
    └┴┬├─┼╞╟╚╔╩╦╠═╬╧\
    ╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
    αßΓπΣσµτΦΘΩδ∞φε∩\
    ≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The upper half of IBM's code page 850; the lower is ASCII.
pub(super) const CP850: &str = "\
    ÇüéâäàåçêëèïîìÄÅ\
    ÉæÆôöòûùÿÖÜø£Ø×ƒ\
    áíóúñÑªº¿®¬½¼¡«»\
    ░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐\
    └┴┬├─┼ãÃ╚╔╩╦╠═╬¤\
    ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀\
    ÓßÔÒõÕµþÞÚÛÙýÝ¯´\
    \u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";

/// All of IBM's code page 37, the EBCDIC of the United States.
pub(super) const CP037: &str = "\
    \0\x01\x02\x03\u{9c}\t\u{86}\x7f\u{97}\u{8d}\u{8e}\x0b\x0c\r\x0e\x0f\
    \x10\x11\x12\x13\u{9d}\u{85}\x08\u{87}\x18\x19\u{92}\u{8f}\x1c\x1d\x1e\x1f\
    \u{80}\u{81}\u{82}\u{83}\u{84}\n\x17\x1b\u{88}\u{89}\u{8a}\u{8b}\u{8c}\x05\x06\x07\
    \u{90}\u{91}\x16\u{93}\u{94}\u{95}\u{96}\x04\u{98}\u{99}\u{9a}\u{9b}\x14\x15\u{9e}\x1a\
    \x20\u{a0}âäàáãåçñ¢.<(+|\
    &éêëèíîïìß!$*);¬\
    -/ÂÄÀÁÃÅÇÑ¦,%_>?\
    øÉÊËÈÍÎÏÌ`:#@'=\"\
    Øabcdefghi«»ðýþ±\
    °jklmnopqrªºæ¸Æ¤\
    µ~stuvwxyz¡¿ÐÝÞ®\
    ^£¥·©§¶¼½¾[]¯¨´×\
    {ABCDEFGHI\u{ad}ôöòóõ\
    }JKLMNOPQR¹ûüùúÿ\
    \\÷STUVWXYZ²ÔÖÒÓÕ\
    0123456789³ÛÜÙÚ\u{9f}";

/// Where code page 500, the international EBCDIC, is not code page 37.
pub(super) const CP500: &[(u8, char)] =
    &[(0x4A, '['), (0x4F, '!'), (0x5A, ']'), (0x5F, '^'), (0xB0, '¢'), (0xBA, '¬'), (0xBB, '|')];

/// Where code page 1047, the EBCDIC of Unix on z/OS, is not code page 37. Its 0x15 is U+0085 and its
/// 0x25 the line feed, as in the others, though Unix on z/OS ends its lines with 0x15.
pub(super) const CP1047: &[(u8, char)] =
    &[(0x5F, '^'), (0xAD, '['), (0xB0, '¬'), (0xBA, 'Ý'), (0xBB, '¨'), (0xBD, ']')];
