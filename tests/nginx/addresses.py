"""Addresses whose country does not change: old allocations to well-known
networks, as the real database has them."""

KR = "168.126.63.1"    # KT's resolver
DE = "81.169.145.150"  # Strato
FR = "80.67.169.12"    # FDN's resolver
US = "8.8.8.8"
JP = "202.232.2.34"    # IIJ's resolver
CH = "130.59.31.248"   # SWITCH: Europe, not in the European Union
GB = "212.58.244.1"    # BBC
ZA = "196.25.1.1"      # SAIX: Africa
BR = "200.160.2.3"     # NIC.br: South America
AU = "139.130.4.4"     # Telstra's name server: Oceania
KP = "175.45.176.1"    # the only one there is

KR6 = "2001:220::1"
DE6 = "2a01:4f8::1"
JP6 = "2001:200::1"    # WIDE

UNKNOWN = "3000::1"    # global unicast that nobody was ever given

PRIVATE = ["10.1.2.3", "172.16.0.1", "192.168.1.1", "127.0.0.2",
           "169.254.1.1", "100.64.0.1", "fd00::1", "fe80::1", "::1",
           "192.0.2.1", "2001:db8::1", "240.0.0.1", "::ffff:10.0.0.1"]


def mapped(ipv4):
    return f"::ffff:{ipv4}"
