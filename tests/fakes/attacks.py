"""Texts that would do harm in a page, if anything in it took them for more than words. Each calls ``hacked``, or asks
the host ``evil.example`` for something, when it works."""

from __future__ import annotations

_CALL = "window.hacked=(window.hacked||0)+1"

ATTACKS = (
    f"<script>{_CALL}</script>",
    f"</script><script>{_CALL}</script>",
    f"</title></textarea></style></noscript><script>{_CALL}</script>",
    f"<img src=x onerror={_CALL}>",
    f"\"><img src=x onerror='{_CALL}'>",
    f"' onmouseover='{_CALL}' autofocus onfocus='{_CALL}' x='",
    f"<svg onload={_CALL}><circle/></svg>",
    f"<svg><script>{_CALL}</script></svg>",
    f"<svg><animate onbegin={_CALL} attributeName=x dur=1s>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={_CALL}>",
    f"<iframe srcdoc='<script>parent.hacked=1</script>'></iframe><iframe src=\"javascript:{_CALL}\"></iframe>",
    f"<details open ontoggle={_CALL}>x</details>",
    f"<input autofocus onfocus={_CALL}><video src=x onerror={_CALL}></video>",
    "<link rel=stylesheet href=https://evil.example/x.css><style>@import 'https://evil.example/y.css'</style>",
    "<img src=https://evil.example/pixel.png><base href=https://evil.example/>",
    '<meta http-equiv="refresh" content="0;url=https://evil.example/">',
    '<form action=https://evil.example/><button>x</button></form><object data="https://evil.example/"></object>',
    f"[x](javascript:{_CALL})",
    f"[x](JaVaScRiPt:{_CALL})",
    f"[x](&#106;avascript&colon;{_CALL})",
    f"[x](java&Tab;script:{_CALL}) [x](java%0ascript:{_CALL}) [x](\x01javascript:{_CALL})",
    f"[x](<javascript:{_CALL}>) <javascript:{_CALL}>",
    "[x](data:text/html,<script>parent.hacked=1</script>) [x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwv)",
    f"[x](vbscript:{_CALL}) [x](blob:https://evil.example/1) [x](view-source:javascript:1)",
    "![x](https://evil.example/pixel.png) ![x](//evil.example/pixel.png) ![x](\\\\evil.example\\pixel.png)",
    f"![x](data:image/svg+xml,<svg/onload={_CALL}>) ![x](javascript:{_CALL})",
    f"[x]: javascript:{_CALL}\n\n[x]\n\n![y][y]\n\n[y]: https://evil.example/pixel.png",
    f'[x](https://ok.example/"onmouseover={_CALL}) [x](https://ok.example/ "\' onclick={_CALL} \'")',
    f'[SECTION:<img src=x onerror={_CALL}>]\n[IMAGE: "><img src=x onerror={_CALL}>]',
    f"![<img src=x onerror={_CALL}>](/content/media/{'a' * 64}.png)",
    f"```html\n<script>{_CALL}</script>\n```\n`<img src=x onerror={_CALL}>`",
    f"<scr<script>ipt>{_CALL}</scr</script>ipt> <<script>{_CALL}//<</script>",
    f"{{{{ self.__init__.__globals__ }}}} ${{{_CALL}}} <%= 1 %> #{{{_CALL}}}",
    "\u202e<script>\u202c \u200b\u200d\ufeff \u2066x\u2069 =cmd|'/c calc'!A1",
    f"<template><script>{_CALL}</script></template><x-x contenteditable autofocus onfocus={_CALL}>",
)
