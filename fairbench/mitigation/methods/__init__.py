"""One file a method of mitigation; `fairbench list methods` shows them."""
