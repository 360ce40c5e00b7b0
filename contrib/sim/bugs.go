package sim

// Bug is a bug that a build with the tag "planted" can have.
type Bug struct {
	Name, What string
}

// Bugs are all that can be planted, with what goes wrong. Releases know neither the bugs nor their names.
var Bugs = []Bug{
	{"mark-forgotten", "a payment goes out although its mark is not on disk"},
	{"payout-before-settle", "what the call for a settle answers is not looked at: the payout begins at once"},
	{"settle-unproved", "a settle that is under way counts as proved"},
	{"unknown-is-failed", "a payment of which the node does not know the end counts as failed"},
	{"pending-is-failed", "a pending part counts as failed"},
	{"lost-answer-is-no", "a payment call whose answer was lost counts as failed"},
	{"patience-forgotten", "a lost call is not waited for"},
	{"session-not-compared", "a call of an earlier run of ours counts as over, though the node has not restarted"},
	{"clock-trusted", "the wait for a lost call is measured on a clock that jumps"},
	{"dedupe-forgotten", "an input that comes again is done again"},
	{"cltv-off-by-one", "a settle begins with 23 blocks left"},
	{"deadline-ignored", "nobody decides when an escrow comes near to its expiry"},
	{"row-lost", "the row of some cancels does not get into the outbox"},
	{"report-after-row", "a row leaves the outbox before the input that reports it is committed"},
	{"stamp-not-rising", "created_at of an order event is the clock's, which can be put back"},
	{"order-event-lost", "an order event counts as published though no relay took it"},
	{"letter-lost", "a letter counts as delivered though no relay took it"},
	{"letter-differs", "a letter that is sent again is sealed anew"},
	{"cancel-unconfirmed", "a refund is booked before the holder has confirmed it"},
	{"refund-while-settled", "a hold that is settled counts as canceled"},
	{"invoice-swapped", "the buyer may change his invoice while a payment is under way"},
	{"address-anew", "an address is asked for another invoice at each attempt"},
	{"stray-ignored", "a payment of an abandoned hold is not noticed"},
	{"create-after-cancel", "a hold invoice is made after the order has moved on"},
	{"claim-forgotten", "a payment is not noted at the node"},
	{"fee-rounding", "fees are cut off, not rounded"},
	{"wrong-key-told", "the parties are told each other's keys the wrong way round"},
	{"rest-twice", "what is left of a range order is put on the book twice"},
	{"hold-not-watched", "an accepted hold falls out of the index of what is watched"},
}
