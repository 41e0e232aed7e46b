import pytest
from publicsuffixlist import PublicSuffixList

from exitway.names.public_suffix import UNLISTED, is_of_a_registry, is_public, public_below, shared_by


@pytest.mark.parametrize(
    ("name", "registry", "public", "shared"),
    [
        ("com", True, True, "com"),
        ("co.uk", True, True, "co.uk"),
        ("foo.ck", True, True, "foo.ck"),  # *.ck
        ("www.ck", False, False, "ck"),  # !www.ck
        ("github.io", False, True, "github.io"),
        ("exitway.github.io", False, False, "github.io"),
        ("example.com", False, False, "com"),
        ("storage.googleapis.com", False, True, "storage.googleapis.com"),
        ("eastus.cloudapp.azure.com", False, True, "eastus.cloudapp.azure.com"),
        ("mine.sharepoint.com", False, False, "sharepoint.com"),
        ("xn--fiqs8s", True, True, "xn--fiqs8s"),
        ("internal", False, False, ""),
        ("", False, False, ""),
    ],
)
def test_the_list_says_whose_names_are_below_a_name(name, registry, public, shared):
    assert (is_of_a_registry(name), is_public(name), shared_by(name)) == (registry, public, shared)


@pytest.mark.parametrize(
    ("name", "below"),
    [
        ("amazonaws.com", "s3.amazonaws.com"),
        ("cloudflarestorage.com", "r2.cloudflarestorage.com"),
        ("fastly.net", "map.fastly.net"),
        ("example.com", ""),
        ("com", ""),
    ],
)
def test_a_name_may_be_above_such_names(name, below):
    assert public_below(name) == below


@pytest.mark.parametrize("suffix", UNLISTED)
def test_what_is_known_beside_the_list_is_not_in_it(suffix):
    assert PublicSuffixList().publicsuffix(suffix.replace("*", "x")) != suffix.replace("*", "x")
    assert is_public(suffix.replace("*", "x"))
