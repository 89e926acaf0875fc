"""Reports: what was promised, how fast it was and what drifted, asked of Prometheus afterwards.

`gather` asks and gives data (`figures`), which is JSON as it is; `pages` lays it out, `text` and
`html` render that.
"""
