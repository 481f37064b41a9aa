package repair

import (
	"fmt"
	"time"

	"agentctl/handler/journal"
)

// LyingAnswer is what a liar says to a request of a peer's repair.
func LyingAnswer(lie string, b []byte) ([]byte, error) {
	req, err := decodeRequest(b)
	if err != nil {
		return nil, err
	}
	from := origin{incarnation: 7}
	switch lie {
	case "trims that cannot be":
		return encodeAnswer(&compareAnswer{origin: origin{7, 1 << 50}, head: 5}), nil
	case "trims that can be":
		now := uint64(time.Now().UnixNano())
		return encodeAnswer(&compareAnswer{origin: origin{7, now - 1}, head: now}), nil
	case "pages without end":
		time.Sleep(50 * time.Millisecond)
		switch m := req.(type) {
		case *compareRequest:
			return encodeAnswer(&compareAnswer{origin: from, head: 1 << 50, late: true}), nil
		case *idsRequest:
			next := journal.LTimePos{LTime: m.after.LTime, Seq: m.after.Seq + 1}
			return encodeAnswer(&idsAnswer{from, true, []listedID{{next, "1-0123456789abcdef"}}}), nil
		case *eventsRequest:
			return encodeAnswer(&eventsAnswer{origin: from, done: uint64(len(m.ids))}), nil
		}
	}
	return nil, fmt.Errorf("no answer to a request of kind %d", req.kind())
}
