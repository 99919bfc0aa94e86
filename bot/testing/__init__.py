"""Contract suites, fakes and clocks for tests, public so that outside packages can run them."""
