package handler

const (
	// MaxLTime is the highest Lamport time that a node takes while its own clock is
	// lower. No cluster can count so far: at a million events a second it takes 146,000
	// years. So whoever sends a higher time lies, or repeats a lie.
	MaxLTime = 1 << 62
	// EndLTime is the highest Lamport time at all. A liar can bring a cluster up to
	// MaxLTime with one message. The nodes count on from there, and never need more.
	EndLTime = MaxLTime + 1<<48
)
