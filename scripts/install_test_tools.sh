#!/bin/sh
# Tools that the tests use and pip does not bring: Chromium and its driver, for the tests in a real browser; curl, for
# the examples of docs/api.md.
command -v chromium >/dev/null && command -v chromedriver >/dev/null && command -v curl >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing Chromium and curl for the tests"
  apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
    chromium chromium-driver curl >/dev/null && exit 0
fi
echo "framewatch: the tests need chromium, chromedriver and curl: install them (on Debian: apt install chromium chromium-driver curl)"
exit 1
