"""``asr serve``: recordings to words and the language models' answers over HTTP. Needs the extra `server`."""
