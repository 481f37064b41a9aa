//go:build linux

package attack

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// The messages of memberlist and serf are made by hand here: an attacker keeps to no rules.
const (
	mlSuspect, mlAlive, mlDead      = 3, 4, 5
	mlPushPull, mlUser, mlEncrypted = 6, 8, 10

	serfLeave, serfJoin, serfPushPull, serfUser, serfQuery = 0, 1, 2, 3, 4
)

// message is a message of memberlist's or serf's: its type and a body in msgpack.
func message(kind byte, body any) []byte {
	buf := bytes.NewBuffer([]byte{kind})
	if err := codec.NewEncoder(buf, &codec.MsgpackHandle{}).Encode(body); err != nil {
		panic(err) // none of the bodies here can fail
	}
	return buf.Bytes()
}

// The bodies have the fields that memberlist and serf give them.
type (
	mlAliveBody struct {
		Incarnation uint32
		Node        string
		Addr        []byte
		Port        uint16
		Meta        []byte
		Vsn         []byte
	}
	// mlAccusation is a suspect or a dead message.
	mlAccusation struct {
		Incarnation uint32
		Node, From  string
	}
	mlSyncHead struct {
		Nodes, UserStateLen int
		Join                bool
	}
	serfIntent struct {
		LTime uint64
		Node  string
		Prune bool
	}
	serfEvent struct {
		LTime   uint64
		Name    string
		Payload []byte
		CC      bool
	}
	serfQuestion struct {
		LTime       uint64
		ID          uint32
		Addr        []byte
		Port        uint16
		SourceNode  string
		Filters     [][]byte
		Flags       uint32
		RelayFactor uint8
		Timeout     time.Duration
		Name        string
		Payload     []byte
	}
	serfSync struct {
		LTime        uint64
		StatusLTimes map[string]uint64
		LeftMembers  []string
		EventLTime   uint64
		Events       []*serfSyncEvents
		QueryLTime   uint64
	}
	serfSyncEvent struct {
		Name    string
		Payload []byte
	}
	serfSyncEvents struct {
		LTime  uint64
		Events []serfSyncEvent
	}
)

// gossiper sends messages to a gossip port, sealed where it has a key.
type gossiper struct {
	addr string
	key  []byte
	conn net.Conn
}

// gossiper opens one to a node, with the stand's key.
func (s *stand) gossiper(to *proc.Node) *gossiper {
	return &gossiper{to.Gossip, s.key(), s.packets(to)}
}

// key is the stand's gossip key, nil in a plain cluster.
func (s *stand) key() []byte {
	if !s.trial.keyed {
		return nil
	}
	key, err := base64.StdEncoding.DecodeString(proc.FirstKey)
	if err != nil {
		panic(err) // it is a constant
	}
	return key
}

// packet sends a message of memberlist's. What the kernel refuses is lost, as any packet.
func (g *gossiper) packet(msg []byte) { g.conn.Write(g.seal(msg, nil)) }

// serf sends a message of serf's in a packet.
func (g *gossiper) serf(msg []byte) { g.packet(append([]byte{mlUser}, msg...)) }

// seal encrypts as memberlist does: a version, a nonce, and AES-GCM.
func (g *gossiper) seal(msg, aad []byte) []byte {
	if g.key == nil {
		return msg
	}
	block, err := aes.NewCipher(g.key)
	if err != nil {
		panic(err) // the key has a length that AES takes
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	nonce := make([]byte, gcm.NonceSize())
	rand.Read(nonce) // never fails
	return gcm.Seal(append([]byte{1}, nonce...), nonce, msg, aad)
}

// encrypted is a message as it goes over a stream, with the key.
func (g *gossiper) encrypted(msg []byte) []byte {
	const tag, nonce = 16, 12
	head := encryptedHead(uint32(1 + nonce + len(msg) + tag))
	return append(head, g.seal(msg, head)...)
}

// sync sends a full sync with no members and this state, and waits for the answer.
func (g *gossiper) sync(s serfSync) error {
	state := message(serfPushPull, s)
	msg := append(message(mlPushPull, mlSyncHead{UserStateLen: len(state)}), state...)
	if g.key != nil {
		msg = g.encrypted(msg)
	}
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write(msg); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn)
	return err
}

// split is a host and a port as messages have them.
func split(addr string) (host []byte, port uint16) {
	a := netip.MustParseAddrPort(addr)
	return a.Addr().AsSlice(), a.Port()
}

// await waits until something holds, and returns an error if it never does.
func await(what string, holds func() bool) error {
	if !testkit.Poll(holds) {
		return fmt.Errorf("after %v still not so: %s", testkit.Patience, what)
	}
	return nil
}

// reach waits until a number is so high, however slow the machine is, and returns an error
// if it does not grow any more.
func reach(what string, goal int, number func() int) error {
	if left := testkit.Settle(func() int { return max(0, goal-number()) }); left > 0 {
		return fmt.Errorf("%d of %d, and no more: %s", goal-left, goal, what)
	}
	return nil
}

// attempt is an attack that may turn out to be impossible, which fails the test: nothing
// was shown then.
func attempt(do func(*stand) error) func(*stand) {
	return func(s *stand) {
		if err := do(s); err != nil {
			s.t.Errorf("the attack could not be made: %v", err)
		}
	}
}

// eventTime is a node's clock of events, 0 if it does not say.
func (s *stand) eventTime(n *proc.Node) uint64 {
	c, err := s.client(s.t.Context(), n)
	if err != nil {
		return 0
	}
	defer c.Close()
	stats, err := c.Stats(s.t.Context())
	if err != nil {
		return 0
	}
	clock, _ := strconv.ParseUint(stats["serf"]["event_time"], 10, 64)
	return clock
}

// sees tells whether a node sees a member alive.
func (s *stand) sees(n *proc.Node, name string) bool {
	c, err := s.client(s.t.Context(), n)
	if err != nil {
		return false
	}
	defer c.Close()
	all, err := c.Members(s.t.Context())
	return err == nil && slices.ContainsFunc(all, func(m wire.Member) bool { return m.Name == name && m.Status == "alive" })
}

// metric reads a series of an agent, NaN if it does not answer.
func (s *stand) metric(n *proc.Node, series string) float64 {
	client := http.Client{Timeout: testkit.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + n.HTTP + "/metrics")
	if err != nil {
		return math.NaN()
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), series+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			if err == nil {
				return v
			}
		}
	}
	return math.NaN()
}
