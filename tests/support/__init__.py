"""What tests share: real services on loopback, a guard against leaks, small builders."""
