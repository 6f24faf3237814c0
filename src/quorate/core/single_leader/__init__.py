"""One leader takes the writes; followers repeat its log. Read: messages, core, then one file per part."""
