"""Words that decline: whether a reply in which no answer was found says that none will be given."""

from __future__ import annotations

import re

MOST_WORDS = 120
"""Of a refusal."""
_ENGLISH = re.compile(
    r"""\W*
    (?: (?: (?:i['’]?m|i\ am|we\ are)\s+(?:\w+\s+)?sorry | sorry | unfortunately | i\ apologi[sz]e )
        \W+ (?:but\s+)? (?:\w+\s+){0,3}? )?
    (?:i|we) (?:['’]?m|\ am|\ are)? \s+
    (?: can(?:no|['’])?t | can\ not | unable\ to | not\ able\ to | won['’]?t | will\ not
        | (?:(?:must|have\ to)\s+)? decline\ to ) \s+
    (?:\w+\s+){0,4}?
    (?: assist | help | comply | judge | evaluate | rate | score | assess | analy[sz]e | identify | process
        | provide | discuss | fulfil+ | complete | engage | continue | do\ (?:that|this) ) \b""",
    re.IGNORECASE | re.VERBOSE,
)
_CHINESE = re.compile(r"\W*(?:很?抱歉|对不起)?\W*(?:但)?我?(?:无法|不能|拒绝)")


def is_refusal(text: str) -> bool:
    """Whether a reply declines to answer. Ask only of what cannot be read: the words alone prove nothing."""
    opening = text.strip()
    if not opening or "{" in opening or len(opening.split()) > MOST_WORDS:
        return False
    return bool(_ENGLISH.match(opening) or _CHINESE.match(opening))
