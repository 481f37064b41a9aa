package quick

// Sent is an event that the agent was sent, and may have taken. Nothing of the
// answer has been read. The ordinary command reads it, and must not send the
// event again.
type Sent struct {
	FD       int    // the connection, which the taker closes
	Seq      uint64 // of the request
	Addr     string // of the agent, as the user gave it
	Name     string
	Coalesce bool
	Serf     bool // the program is called serf
}

var left *Sent // set at most once, before main begins

// Left returns the event whose answer is left to read, or nil.
func Left() *Sent { return left }
