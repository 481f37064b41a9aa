package gossip

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/serf/serf"
)

// conn is a stream that brings what it brings. If it stays, it brings no end then, until
// it is closed.
type conn struct {
	net.Conn
	io.Reader
	host   string
	stays  bool
	closed chan struct{}
	once   sync.Once
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == io.EOF && c.stays {
		<-c.closed
	}
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (c *conn) Close() error         { c.once.Do(func() { close(c.closed) }); return nil }
func (c *conn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(c.host), Port: 1} }

// from opens a stream of a host.
func (s *streams) from(host string, r io.Reader) net.Conn {
	return s.guard(&conn{Reader: r, host: "10.0.0." + host, closed: make(chan struct{})})
}

// endless brings zeros for ever.
type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// seal encrypts as memberlist does, in one of its versions; also is authenticated, too.
func seal(t testing.TB, key []byte, version byte, plain, also []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, nonceSize)
	return gcm.Seal(append([]byte{version}, nonce...), nonce, plain, also)
}

// sealedStream is an encrypted message on a stream.
func sealedStream(t testing.TB, key, plain []byte) []byte {
	t.Helper()
	head := binary.BigEndian.AppendUint32([]byte{encryptType}, uint32(1+nonceSize+len(plain)+tagSize))
	return append(head, seal(t, key, 1, plain, head)...)
}

// syncHead is the head of a full sync.
func syncHead(nodes, state uint32) []byte {
	b := binary.BigEndian.AppendUint32([]byte("\x06\x83\xa5Nodes\xce"), nodes)
	b = binary.BigEndian.AppendUint32(append(b, "\xacUserStateLen\xce"...), state)
	return append(b, "\xa4Join\xc2"...)
}

var testKey = bytes.Repeat([]byte{7}, 32)

func keyed() [][]byte { return [][]byte{testKey} }

func twoKeys() [][]byte { return [][]byte{bytes.Repeat([]byte{1}, 16), testKey} }

func unkeyed() [][]byte { return nil }

// largeSync is a full sync of a cluster of a thousand members, with as many events as
// serf keeps.
func largeSync(t *testing.T) []byte {
	t.Helper()
	var s syncState
	s.StatusLTimes = map[string]serf.LamportTime{}
	for i := range 1000 {
		s.StatusLTimes[fmt.Sprint("node-", i)] = serf.LamportTime(i)
	}
	for i := range 512 {
		e := &recentEvents{LTime: serf.LamportTime(i)}
		for range 50 {
			e.Events = append(e.Events, struct {
				Name    string
				Payload []byte
			}{"kong", bytes.Repeat([]byte{byte(i)}, 500)})
		}
		s.Events = append(s.Events, e)
	}
	state, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	b := syncHead(1000, uint32(len(state)))
	for i := range 1000 {
		b = fmt.Appendf(b, "\x82\xa4Name\xa9node-%04d\xa4Meta\xda\x02\x00%s", i, make([]byte, 512))
	}
	return append(b, state...)
}

// The largest full sync that members send comes through as it is, in each form, while
// other hosts fill all the room that they get. They do not get more than the limit, and
// what they have held is free again afterwards.
func TestALargeSyncComesThroughAFlood(t *testing.T) {
	state := largeSync(t)
	t.Logf("a full sync of %d bytes", len(state))
	for name, c := range map[string]struct {
		keys func() [][]byte
		raw  []byte
	}{
		"plain": {unkeyed, state}, "compressed": {unkeyed, compressed(t, state)},
		"encrypted": {keyed, sealedStream(t, testKey, state)}, "both": {keyed, sealedStream(t, testKey, compressed(t, state))},
		"with another key, too": {twoKeys, sealedStream(t, testKey, state)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStreams(func(string, error) {}, c.keys)
				flood := append(syncHead(0, 8<<20), make([]byte, 4<<20)...)
				if c.keys() != nil {
					flood = append([]byte{encryptType, 1, 0, 0, 0}, make([]byte, 12<<20)...)
				}
				var floods []net.Conn
				for i := range 16 { // from two hosts
					stream := s.guard(&conn{Reader: bytes.NewReader(flood), host: fmt.Sprint("10.0.1.", i%2), stays: true, closed: make(chan struct{})})
					floods = append(floods, stream)
					go func() { // as memberlist does
						io.Copy(io.Discard, stream)
						stream.Close()
					}()
					synctest.Wait()
					if s.mu.Lock(); s.all > streamsMost {
						t.Errorf("%d bytes are held", s.all)
					}
					s.mu.Unlock()
				}
				honest := s.from("1", bytes.NewReader(c.raw))
				got, err := io.ReadAll(honest)
				if err != nil || !bytes.Equal(got, state) {
					t.Errorf("%d bytes came through, and the error %v", len(got), err)
				}
				if s.mu.Lock(); s.all > streamsMost || s.all < streamsMost/2 {
					t.Errorf("%d bytes are held with it", s.all)
				}
				s.mu.Unlock()
				for _, stream := range append(floods, honest, honest) {
					stream.Close()
				}
				if s.all != 0 || s.ending != 0 || len(s.hosts) != 0 {
					t.Errorf("%d bytes of %v are counted after the end", s.all, s.hosts)
				}
			})
		})
	}
}

// A stream that brings, announces or inflates to more than all streams may hold is
// refused before that is in memory.
func TestStreamsThatGrowAreRefused(t *testing.T) {
	bomb := compressed(t, append(syncHead(0, 0), make([]byte, 2*streamsMost)...))
	for name, c := range map[string]struct {
		keys func() [][]byte
		raw  io.Reader
		want error
	}{
		"without an end":            {unkeyed, io.MultiReader(bytes.NewReader(syncHead(0, 0)), endless{}), errCrowded},
		"inflated":                  {unkeyed, bytes.NewReader(bomb), errCrowded},
		"announced nodes":           {unkeyed, bytes.NewReader(syncHead(1<<20, 0)), errCrowded},
		"announced, compressed":     {unkeyed, bytes.NewReader(compressed(t, syncHead(1<<20, 20<<20))), errCrowded},
		"a head without an end":     {unkeyed, io.MultiReader(bytes.NewReader([]byte("\x06\x81\xdb\x7f\xff\xff\xff")), endless{}), errHead},
		"nested":                    {unkeyed, bytes.NewReader(compressed(t, bomb)), errNested},
		"encrypted, inflated":       {keyed, bytes.NewReader(sealedStream(t, testKey, bomb)), errCrowded},
		"encrypted, announced":      {keyed, bytes.NewReader(sealedStream(t, testKey, syncHead(1<<20, 20<<20))), errCrowded},
		"encrypted twice":           {keyed, bytes.NewReader(sealedStream(t, testKey, sealedStream(t, testKey, bomb))), errNested},
		"encrypted nothing":         {keyed, bytes.NewReader(sealedStream(t, testKey, nil)), errHead},
		"encrypted, without an end": {keyed, io.MultiReader(bytes.NewReader([]byte{encryptType, 255, 0, 0, 0}), endless{}), errLong},
	} {
		t.Run(name, func(t *testing.T) {
			refused := 0
			s := newStreams(func(string, error) { refused++ }, c.keys)
			stream := s.from("1", c.raw)
			var err error
			used := grown(func() { _, err = io.Copy(io.Discard, stream) })
			if !errors.Is(err, c.want) || refused != 1 || used > 2<<20 {
				t.Errorf("the error %v, %d refusals, %d bytes were asked for", err, refused, used)
			}
			if _, err := stream.Read(make([]byte, 1)); !errors.Is(err, c.want) {
				t.Errorf("and then the error %v", err)
			}
		})
	}
}

// What is not encrypted by a holder of a key comes to memberlist as an error in its own
// words, where it looks for the rest of an encrypted message.
func TestStreamsAreDecrypted(t *testing.T) {
	ping := []byte("\x00a ping")
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"plain": {ping, errNotEncrypted}, "with another key": {sealedStream(t, bytes.Repeat([]byte{9}, 32), ping), errNoKey},
		"with the key": {sealedStream(t, testKey, ping), nil},
	} {
		s := newStreams(func(string, error) { t.Errorf("%s: a refusal is counted", name) }, keyed)
		got, err := io.ReadAll(s.from("1", bytes.NewReader(c.raw)))
		want := ping
		if c.want != nil {
			want = []byte{encryptType}
		}
		if !errors.Is(err, c.want) || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Packets come to memberlist decrypted. It does not decrypt anything in them, which would
// make it panic.
func TestPacketsAreDecrypted(t *testing.T) {
	ping, user := []byte("\x00a ping"), []byte("\x08\x03hello")
	padded := append(bytes.Clone(user), bytes.Repeat([]byte{9}, 9)...)
	unpadded := seal(t, testKey, 0, append(make([]byte, 15), 255), nil)
	for name, c := range map[string]struct {
		packet, want []byte
		failed       error
	}{
		"plain":             {user, nil, nil},
		"padded":            {seal(t, testKey, 0, padded, nil), user, nil},
		"not padded":        {unpadded, nil, errPadding},
		"with another key":  {seal(t, bytes.Repeat([]byte{9}, 32), 1, user, nil), nil, errNoKey},
		"with the key":      {seal(t, testKey, 1, user, nil), user, nil},
		"nothing":           {seal(t, testKey, 1, nil, nil), []byte{}, nil},
		"compressed":        {seal(t, testKey, 1, compressed(t, user), nil), user, nil},
		"a bomb":            {seal(t, testKey, 1, compressed(t, make([]byte, 8<<20)), nil), nil, nil},
		"a ping":            {seal(t, testKey, 1, ping, nil), compound(ping), nil},
		"encrypted twice":   {seal(t, testKey, 1, unpadded, nil), compound(unpadded), nil},
		"twice, compressed": {seal(t, testKey, 1, compressed(t, unpadded), nil), compound(unpadded), nil},
	} {
		var failed error
		for _, keys := range []func() [][]byte{twoKeys, keyed} {
			tr := &frontTransport{streams: newStreams(func(string, error) {}, keys), undecrypted: func(err error, _ net.Addr) { failed = err }}
			got := tr.taken(bytes.Clone(c.packet), nil)
			if !bytes.Equal(got, c.want) || (got == nil) != (c.want == nil) {
				t.Errorf("%s: %q", name, got)
			}
			if c.failed != nil && !errors.Is(failed, c.failed) || name == "plain" && failed == nil {
				t.Errorf("%s: the error %v", name, failed)
			}
		}
	}
}
