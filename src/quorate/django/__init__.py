"""A database backend of Django: `ENGINE = "quorate.django"`. It needs the extra `django`."""
