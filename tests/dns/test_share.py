from exitway.dns.share import BURST, RATE, Shares


def test_who_asks_too_much_has_no_answer_and_takes_from_nobody():
    shares = Shares()
    greedy, other = shares.of("10.0.0.1", 0.0), shares.of("10.0.0.2", 0.0)
    assert sum(greedy.take(0.0) for _ in range(int(3 * BURST))) == BURST
    assert other.take(0.0)
    assert sum(greedy.take(1.0) for _ in range(int(3 * BURST))) == RATE
    assert shares.of("10.0.0.1", 2.0) is greedy
