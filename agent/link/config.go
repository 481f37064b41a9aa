package link

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"
)

// Peer is another agent. Name and Addr (host:port, as gossip has it) are all
// that is needed to reach it; the rest is what it said of itself. The Addr of a
// peer from which something came is where its stream came from: no link can be
// opened to that.
type Peer struct {
	Name     string
	Addr     string
	Process  ProcessID
	Version  byte     // of the protocol, agreed on for the link
	Features []string // opaque here
}

// ProcessID is drawn at random when a process starts, and tells it from an
// earlier one on the same node.
type ProcessID [16]byte

func (id ProcessID) String() string { return hex.EncodeToString(id[:]) }

func newProcessID() (id ProcessID) {
	rand.Read(id[:]) // never fails
	return id
}

// Kind says what a stream on a link is for. Numbers are part of the protocol.
type Kind uint64

// The kinds of streams. Handlers answer those from KindRepair on; a kind
// without a handler is refused politely.
const (
	kindEvents   Kind = 1
	KindRepair   Kind = 2
	KindBody     Kind = 3
	KindQuestion Kind = 4 // what became of an event
	KindMembers  Kind = 5
)

// Handler answers one request. It must return soon after ctx has ended, which
// is at the latest RequestTimeout after the request came. The text of an error
// goes to the peer.
type Handler func(ctx context.Context, from Peer, req []byte) ([]byte, error)

// Config is the configuration of Links. Name, Transport and Deliver are
// needed. A zero value of any other field means its default.
type Config struct {
	Name      string                        // of this node
	Transport memberlist.NodeAwareTransport // the one to wrap, such as a *memberlist.NetTransport
	// Keys returns the keyring's keys, primary first. It is called once a
	// second, and while it returns none there are no links. A nil Keys means
	// links without encryption.
	Keys func() [][]byte
	// Deliver takes messages of one peer, in order; it may keep them. What it
	// was given counts as received once it returns. It is called for several
	// peers at a time, and while it runs its peer's next messages wait.
	Deliver func(from Peer, msgs [][]byte)
	// Behind is told that messages to a peer were dropped, because too many
	// waited or because it was found to be no peer, from one goroutine and at
	// most ten times a second for each peer. It may be nil.
	Behind   func(to Peer, dropped uint64, notPeer bool)
	Handlers map[Kind]Handler
	Features []string              // told to each peer; at most 16 of 32 bytes
	Logger   *slog.Logger          // nil discards
	Metrics  prometheus.Registerer // nil counts nothing

	MaxMessage    int // bytes; 68 KiB
	QueueMessages int // messages to one peer that are not acknowledged yet; 32,768
	QueueBytes    int // bytes of them, encoded; 16 MiB
	MaxLinks      int // links opened from here at a time, and as many that others open; 256
	MaxRequest    int // bytes of a request; 128 KiB, which a peer that refuses it need not read
	MaxResponse   int // bytes of the answer to one; 4 MiB
	MaxRequests   int // requests handled here at a time; 64

	MaxStrangers        int // streams at a time whose handshake is not over; 64
	MaxStrangersPerHost int // of one IP address; 16

	IdleTimeout      time.Duration // a link that brought messages and has no traffic is closed after this; 5 min
	AskedTimeout     time.Duration // likewise a link for requests alone, of which a large cluster has many; 1 min
	HandshakeTimeout time.Duration // from a stream's start to the end of the handshake; 3 s
	RequestTimeout   time.Duration // for a request where its context ends later; 10 s
	NotPeerRetry     time.Duration // until a node that is no peer is tried again; 5 min

	streamTimeout time.Duration // for a peer to close a stream after us; 10 s, negative means no limit
}

const (
	maxFeatures = 16
	maxFeature  = 32  // bytes
	maxName     = 256 // bytes; memberlist and serf have shorter ones
)

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field *int
		value int
	}{
		{&c.MaxMessage, 68 << 10}, {&c.QueueMessages, 32768}, {&c.QueueBytes, 16 << 20},
		{&c.MaxLinks, 256}, {&c.MaxRequest, 128 << 10}, {&c.MaxResponse, 4 << 20},
		{&c.MaxRequests, 64}, {&c.MaxStrangers, 64}, {&c.MaxStrangersPerHost, 16},
	} {
		*d.field = cmp.Or(*d.field, d.value)
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.IdleTimeout, 5 * time.Minute}, {&c.AskedTimeout, time.Minute}, {&c.HandshakeTimeout, 3 * time.Second},
		{&c.RequestTimeout, 10 * time.Second}, {&c.NotPeerRetry, 5 * time.Minute},
		{&c.streamTimeout, 10 * time.Second},
	} {
		*d.field = cmp.Or(*d.field, d.value)
	}
	return c
}

// validate names everything that is wrong with c, defaults filled in.
func (c Config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("link: "+format, args...))
		}
	}
	check(c.Name != "" && len(c.Name) <= maxName, "Name has %d bytes; give 1 to %d", len(c.Name), maxName)
	check(c.Transport != nil, "Transport is nil; give memberlist's")
	check(c.Deliver != nil, "Deliver is nil; give a function that takes the messages")
	check(len(c.Features) <= maxFeatures, "%d Features; give at most %d", len(c.Features), maxFeatures)
	for _, f := range c.Features {
		check(len(f) <= maxFeature, "feature %q has %d bytes; give at most %d", f, len(f), maxFeature)
	}
	for k, h := range c.Handlers {
		check(k >= KindRepair && h != nil, "a handler of kind %d; kinds of requests begin at %d, and handlers are not nil", k, KindRepair)
	}
	for name, v := range map[string]int64{
		"MaxMessage": int64(c.MaxMessage), "QueueMessages": int64(c.QueueMessages), "QueueBytes": int64(c.QueueBytes),
		"MaxLinks": int64(c.MaxLinks), "MaxRequest": int64(c.MaxRequest), "MaxResponse": int64(c.MaxResponse),
		"MaxRequests": int64(c.MaxRequests), "MaxStrangers": int64(c.MaxStrangers),
		"MaxStrangersPerHost": int64(c.MaxStrangersPerHost), "IdleTimeout": int64(c.IdleTimeout),
		"AskedTimeout": int64(c.AskedTimeout), "HandshakeTimeout": int64(c.HandshakeTimeout), "RequestTimeout": int64(c.RequestTimeout),
		"NotPeerRetry": int64(c.NotPeerRetry),
	} {
		check(v > 0, "%s is negative; leave it 0 for the default", name)
	}
	return errors.Join(errs...)
}
