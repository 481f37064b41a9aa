package link

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
	sender   senderID
	version  byte     // of the protocol, agreed on for the link
	features []string // that it told
}

// Has reports whether the peer told of a feature when its link was opened. Of a peer that
// a caller made nothing is known, so it has none.
func (p Peer) Has(feature string) bool { return slices.Contains(p.features, feature) }

// senderID tells the numbers of one sender from those of others. A node draws one for
// each peer that it sends to, and tells it to that peer alone: whoever knows it could
// have the peer drop what the node sends. A node that is sent to has the zero ID.
type senderID [16]byte

func (id senderID) String() string { return hex.EncodeToString(id[:]) }

func newSenderID() (id senderID) {
	rand.Read(id[:]) // never fails
	return id
}

// featureOwnID says that a node draws its IDs as senderID says, so that no number is
// left out under one. Earlier versions have one ID for all peers and leave numbers out.
const featureOwnID = "own-id"

// Kind says what a stream on a link is for. Numbers are part of the protocol.
type Kind uint64

// The kinds of streams. Handlers answer those from KindRepair on; a kind
// without a handler is refused politely.
const (
	kindEvents     Kind = 1 // from the opener of a link
	KindRepair     Kind = 2
	KindBody       Kind = 3
	KindQuestion   Kind = 4 // what became of an event
	KindMembers    Kind = 5
	KindDurable    Kind = 6 // whether events are on a disk
	KindAgents     Kind = 7 // which members are agents
	kindEventsBack Kind = 8 // from the acceptor of a link
	KindStatus     Kind = 9 // how a node is
)

// Handler answers one request. It must return soon after ctx has ended, which
// is at the latest ten seconds after the request came. The text of an error
// goes to the peer.
type Handler func(ctx context.Context, from Peer, req []byte) ([]byte, error)

// Config is the configuration of Links. Name, Transport and Deliver are
// needed. A zero value of any other field means its default. The limits that
// only tests change are not exported.
type Config struct {
	Name      string                        // of this node
	Transport memberlist.NodeAwareTransport // the one to wrap, such as a *memberlist.NetTransport
	// Keys returns the keyring's keys, primary first. It is called once a
	// second, and while it returns none there are no links. A nil Keys means
	// links without encryption.
	Keys func() [][]byte
	// Deliver takes messages of one peer, in order; it may keep them. It returns when they
	// are acknowledged: at once, with [Soon] or with [Held]. It is called for several
	// peers at a time, and while it runs its peer's next messages wait.
	Deliver func(from Peer, msgs [][]byte) Ack
	// Behind is told that messages to a peer were dropped, because too many
	// waited or because it was found to be no peer, from one goroutine and at
	// most ten times a second for each peer. It may be nil.
	Behind func(to Peer, dropped uint64, notPeer bool)
	// Member tells whether a member of this name has this host as its address. Links of
	// others share one limit of memory, and are not used to send to the peer that they
	// name. It must not block, and nil has no members.
	Member func(name, host string) bool
	// Accepted is told the name that each peer gives that has opened a link to here, and
	// Opened each peer to which this node has opened one, or whose link it uses to send,
	// with the features that it told. Neither may block, and both may be nil.
	Accepted func(name string)
	Opened   func(p Peer)
	// Lost is told the name of a peer whose kept link broke, or could not be opened, at each
	// attempt, and whether the node showed itself to be no peer. It must not block, and may
	// be nil.
	Lost     func(name string, notPeer bool)
	Features []string // told to each peer, see Peer.Has; at most 13 of 32 bytes
	Handlers map[Kind]Handler
	Logger   *slog.Logger          // nil discards
	Metrics  prometheus.Registerer // nil counts nothing

	MaxMessage int // bytes; 68 KiB

	queueMessages int // messages to one peer that are not acknowledged yet; 32,768
	queueBytes    int // bytes of them, encoded; 16 MiB
	maxLinks      int // links opened from here at a time, and as many that others open; 256
	maxRequest    int // bytes of a request; 128 KiB, which a peer that refuses it need not read
	maxResponse   int // bytes of the answer to one; 4 MiB
	maxRequests   int // requests handled here at a time; 64

	maxStrangers        int // streams at a time whose handshake is not over; 64
	maxStrangersPerHost int // of one IP address; 16

	idleTimeout      time.Duration // a link that brought messages and has no traffic is closed after this; 5 min
	askedTimeout     time.Duration // likewise a link for requests alone, of which a large cluster has many; 1 min
	pingAfter        time.Duration // without a byte, the opener of a link asks whether the other side is there; 3 min
	handshakeTimeout time.Duration // from a stream's start to the end of the handshake; 3 s
	requestTimeout   time.Duration // for a request where its context ends later; 10 s
	notPeerRetry     time.Duration // until a node that is no peer is tried again; 5 min

	streamTimeout time.Duration // for a peer to close a stream after us; 10 s
	ackDelay      time.Duration // of an acknowledgement that is to come soon; AckDelay

	noChecksums, noBothWays bool // as earlier versions, which do not have those features
}

const (
	maxFeatures = 16  // in a hello
	ownFeatures = 3   // of those, this package's own
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
		{&c.MaxMessage, 68 << 10}, {&c.queueMessages, 32768}, {&c.queueBytes, 16 << 20},
		{&c.maxLinks, 256}, {&c.maxRequest, 128 << 10}, {&c.maxResponse, 4 << 20},
		{&c.maxRequests, 64}, {&c.maxStrangers, 64}, {&c.maxStrangersPerHost, 16},
	} {
		*d.field = cmp.Or(*d.field, d.value)
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.idleTimeout, 5 * time.Minute}, {&c.askedTimeout, time.Minute},
		{&c.pingAfter, 3 * time.Minute}, {&c.handshakeTimeout, 3 * time.Second},
		{&c.requestTimeout, 10 * time.Second}, {&c.notPeerRetry, 5 * time.Minute},
		{&c.streamTimeout, 10 * time.Second}, {&c.ackDelay, AckDelay},
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
	for k, h := range c.Handlers {
		check(k >= KindRepair && k != kindEventsBack && h != nil, "a handler of kind %d; kinds of requests begin at %d without %d, and handlers are not nil", k, KindRepair, kindEventsBack)
	}
	check(len(c.Features) <= maxFeatures-ownFeatures, "%d Features; give at most %d", len(c.Features), maxFeatures-ownFeatures)
	for _, f := range c.Features {
		check(f != "" && len(f) <= maxFeature, "the feature %q has %d bytes; give 1 to %d", f, len(f), maxFeature)
	}
	check(c.MaxMessage > 0, "MaxMessage is negative; leave it 0 for the default")
	return errors.Join(errs...)
}
