#!/bin/sh
# Install what the tests on real servers want and this machine lacks, on Debian or Ubuntu as root.
# Apache Kafka itself comes by Maven when the tests first want it.
set -eu

wanted="redis-server:redis-server redis-cli:redis-tools kcat:kcat prometheus:prometheus promtool:prometheus openssl:openssl
        curl:curl wget:wget java:openjdk-17-jre-headless mvn:maven"
packages=
for each in $wanted; do
    command -v "${each%%:*}" >/dev/null 2>&1 || packages="$packages ${each##*:}"
done
if [ -z "$packages" ]; then
    echo "install-servers: all there"
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
    echo "install-servers: expected to find, or as root on Debian to install:$packages" >&2
    exit 1
fi
echo "install-servers: installing$packages"
apt-get update -qq || echo "install-servers: the package lists could not be renewed" >&2
# In run level 1 the packages start no service of their own.
# shellcheck disable=SC2086 # a list of words
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
