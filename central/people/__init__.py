"""People of the central: what each role may do, passwords, second factors, sessions."""
