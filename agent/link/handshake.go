package link

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/flynn/noise"

	"agentctl/handler/socket"
)

// The versions of the protocol that this package speaks.
const minVersion, maxVersion = 1, 1

// maxKeys bounds how many keys of a keyring are tried, on either side: a
// keyring has one, and two or three while keys are rotated.
const maxKeys = 16

var (
	errNotPeer = errors.New("it does not answer in this protocol")
	// errUnproved is for what was not encrypted by a holder of the key, which is
	// what a recorded handshake leads to.
	errUnproved = errors.New("what came was not encrypted for this link")
)

// refusal is a verdict other than OK.
type refusal struct {
	verdict      byte
	mine         bool // this agent's verdict, on the other side
	lo, hi       byte // of the other side
	ourLo, ourHi byte
}

func (r *refusal) Error() string {
	switch r.verdict {
	case verdictVersion:
		return fmt.Sprintf("it speaks versions %d to %d of the protocol, and this agent %d to %d; upgrade the older one",
			r.lo, r.hi, r.ourLo, r.ourHi)
	case verdictNeedsKey, verdictNoKeyring:
		if (r.verdict == verdictNeedsKey) == r.mine {
			return "it has no keyring, and this agent has one; give both the same keys"
		}
		return "it has a keyring, and this agent has none; give both the same keys"
	case verdictWrongKey:
		if r.mine {
			return "its key is not on this agent's keyring; give both the same keys"
		}
		return "this agent's key is not on its keyring; give both the same keys"
	case verdictMalformed:
		return "what it was sent makes no sense to it; it will be tried again"
	case verdictBusy:
		return "it is busy, starting or stopping; it will be tried again"
	}
	return fmt.Sprintf("reason %d, which this version does not know", r.verdict)
}

// party is one agent in handshakes. It is not changed once in use.
type party struct {
	self    hello
	timeout time.Duration // for a whole handshake
}

// greeted is a link after its handshake.
type greeted struct {
	net.Conn // in records, encrypted or with checksums, if it has a key or both sides can
	remote   hello
	version  byte
	key      psk
	both     bool // both sides may open streams
}

// open opens a link on a new connection. The zero key means a plain one. The ID is told
// to the accepting side.
func (p *party) open(conn net.Conn, key psk, id senderID) (*greeted, error) {
	conn = socket.New(withoutProbes(conn))
	conn.SetDeadline(time.Now().Add(p.timeout))
	ours := preamble{lo: p.self.lo, hi: p.self.hi, code: modePlain}
	var state *noise.HandshakeState
	if key != (psk{}) {
		ours.code = modeNoise
		var err error
		if state, err = newNoise(key, true, ours.prologue()); err != nil {
			return nil, err
		}
		if ours.noise, _, _, err = state.WriteMessage(nil, nil); err != nil {
			return nil, err
		}
	}
	if _, err := conn.Write(ours.encode()); err != nil {
		return nil, err
	}

	first := make([]byte, 1)
	switch _, err := io.ReadFull(conn, first); {
	case err == io.EOF || err == nil && first[0] != magic:
		return nil, errNotPeer
	case err != nil:
		return nil, err
	}
	theirs, err := readPreamble(conn)
	if err != nil {
		return nil, err
	}
	if theirs.code != verdictOK {
		return nil, &refusal{theirs.code, false, theirs.lo, theirs.hi, ours.lo, ours.hi}
	}
	g := &greeted{Conn: conn, key: key}
	if state != nil {
		_, out, in, err := state.ReadMessage(nil, theirs.noise)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUnproved, err)
		}
		g.secure(in, out)
	}
	self := p.self
	self.sender = id
	if err := self.write(g.Conn); err != nil {
		return nil, err
	}
	if err := p.meet(g, theirs); err != nil {
		return nil, err
	}
	p.check(g)
	return g, nil
}

// accept answers a link on a connection whose first byte, magic, was read. The
// zero key, alone, means that plain links are taken. A peer that it refuses has
// been told why.
func (p *party) accept(conn net.Conn, keys []psk) (*greeted, error) {
	conn = socket.New(withoutProbes(conn))
	conn.SetDeadline(time.Now().Add(p.timeout))
	ours := preamble{lo: p.self.lo, hi: p.self.hi}
	theirs, err := readPreamble(conn)
	if err == nil && theirs.code > modeNoise {
		err = fmt.Errorf("%w: mode %d", errProtocol, theirs.code)
	}
	if err != nil { // or else it would take this node for no peer, for one bit that was changed
		ours.code = verdictMalformed
		conn.SetDeadline(time.Now().Add(refusalTimeout)) // the one before may be over
		conn.Write(ours.encode())                        // an error means that nobody is there to be told
		return nil, err
	}
	plain := slices.Contains(keys, psk{})
	g := &greeted{Conn: conn}
	var state *noise.HandshakeState
	switch {
	case ours.common(theirs) == 0:
		ours.code = verdictVersion
	case theirs.code == modePlain && !plain:
		ours.code = verdictNeedsKey
	case theirs.code == modeNoise && plain:
		ours.code = verdictNoKeyring
	case theirs.code == modeNoise:
		if state, g.key = findKey(keys, theirs); state == nil {
			ours.code = verdictWrongKey
		}
	}
	var in, out *noise.CipherState
	if state != nil {
		if ours.noise, in, out, err = state.WriteMessage(nil, nil); err != nil {
			return nil, err
		}
	}
	if _, err := conn.Write(ours.encode()); err != nil {
		return nil, err
	}
	if ours.code != verdictOK {
		return nil, &refusal{ours.code, true, theirs.lo, theirs.hi, ours.lo, ours.hi}
	}
	if state != nil {
		g.secure(in, out)
	}
	if err := p.meet(g, theirs); err != nil {
		return nil, err
	}
	if err := p.self.write(g.Conn); err != nil {
		return nil, err
	}
	p.check(g)
	return g, nil
}

// findKey tries the keys on the first message of a handshake. That costs some
// hashing for each, and no curve.
func findKey(keys []psk, theirs preamble) (*noise.HandshakeState, psk) {
	for _, key := range keys {
		state, err := newNoise(key, false, theirs.prologue())
		if err != nil {
			return nil, psk{}
		}
		if _, _, _, err := state.ReadMessage(nil, theirs.noise); err == nil {
			return state, key
		}
	}
	return nil, psk{}
}

// meet reads the other side's hello, which proves its key, ends the handshake
// and its limits. Its write, where it is still to come, has a deadline.
func (p *party) meet(g *greeted, theirs preamble) (err error) {
	if g.remote, err = readHello(g.Conn); err != nil {
		return err
	}
	if g.remote.lo != theirs.lo || g.remote.hi != theirs.hi {
		return fmt.Errorf("%w: its versions were changed on the way", errProtocol)
	}
	g.version = preamble{lo: p.self.lo, hi: p.self.hi}.common(theirs)
	if g.version == 0 {
		return fmt.Errorf("%w: it accepted a version that it does not speak", errProtocol)
	}
	g.both = p.self.has(featureBothWays) && g.remote.has(featureBothWays)
	if c, ok := g.Conn.(*recordLayer); ok {
		c.limit = maxRecord
	}
	return nil
}

func (g *greeted) secure(in, out *noise.CipherState) {
	const limit = 2 + maxHello + noiseTag
	g.Conn = newRecordLayer(g.Conn, encrypted(in, out), limit)
}

// common is the highest version that both speak, or 0.
func (p preamble) common(other preamble) byte {
	if v := min(p.hi, other.hi); v >= p.lo && v >= other.lo {
		return v
	}
	return 0
}

// prologue is what of the opening preamble Noise is to protect: all but its
// own message.
func (p preamble) prologue() []byte { return []byte{magic, p.lo, p.hi, p.code} }
