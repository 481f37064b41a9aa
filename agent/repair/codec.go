package repair

import (
	"errors"
	"fmt"

	"agentctl/handler/journal"
	"agentctl/handler/varint"
)

var errMalformed = errors.New("repair: malformed message")

// encoder puts a message together.
type encoder struct{ varint.Encoder }

func (e *encoder) digest(d journal.Digest) {
	e.Uint(d.Count)
	if d.Count > 0 {
		e.Fixed(d.Hi)
		e.Fixed(d.Lo)
	}
}

// decoder takes a message apart.
type decoder struct{ varint.Decoder }

func (d *decoder) digest() (g journal.Digest) {
	if g.Count = d.Uint(); g.Count > 0 {
		g.Hi, g.Lo = d.Fixed(), d.Fixed()
	}
	return g
}

// end tells whether all was there and nothing more.
func (d *decoder) end() error {
	if err := d.End(); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return nil
}
