"""``featlearn explore``: a page on the loopback address to play with a config.

controls.py: the keys that the page shows, read from the parameters' annotations. query.py: the query of a request, read
as a config is. setting.py: the configs that it stands for. limits.py: what one request may cost. computing.py: runs
and figures, in processes of their own (workers.py). app.py: what the page may ask for, and from where; answers.py: what
its answers hold. server.py: the socket. page/: what the browser shows.
"""

from featlearn.explore.server import serve

__all__ = ["serve"]
