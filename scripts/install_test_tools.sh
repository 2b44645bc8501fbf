#!/bin/sh
# Tools that the tests use and pip does not bring: Chromium and its driver, for the test in a real browser.
command -v chromium >/dev/null && command -v chromedriver >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing Chromium for the browser test"
  apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
    chromium chromium-driver >/dev/null && exit 0
fi
echo "framewatch: the browser test needs chromium and chromedriver: install them (on Debian: apt install chromium chromium-driver)"
exit 1
