package link

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentctl/handler/varint"
)

// scriptConn is a connection on which everything has been said already.
type scriptConn struct {
	net.Conn // nil: nothing else is called
	in       *bytes.Reader
	out      bytes.Buffer
}

func (c *scriptConn) Read(b []byte) (int, error)  { return c.in.Read(b) }
func (c *scriptConn) Write(b []byte) (int, error) { return c.out.Write(b) }
func (c *scriptConn) SetDeadline(time.Time) error { return nil }

// strangerBytes is how much of a stranger is read at most, records and their
// buffer ahead included.
const strangerBytes = preambleSize + maxNoise + 2 + maxHello + noiseTag + 4096

// FuzzAccept gives any bytes to the accepting side of a handshake: none of them
// proves a key, little is read and less answered.
func FuzzAccept(f *testing.F) {
	key := newPSK(testKey("one"))
	plain := preamble{lo: 1, hi: 1}.encode()[1:]
	var hi bytes.Buffer
	f.Add(plain, false)
	hi.Write(plain)
	c := &scriptConn{}
	testParty("a").self.write(c)
	f.Add(append(hi.Bytes(), c.out.Bytes()...), false)
	f.Add(handshakeAnd(key, make([]byte, 100))[1:], true)
	f.Fuzz(func(t *testing.T, data []byte, keyed bool) {
		keys := []psk{{}}
		if keyed {
			keys = []psk{newPSK(testKey("zero")), key}
		}
		c := &scriptConn{in: bytes.NewReader(data)}
		g, err := testParty("b").accept(c, keys)
		if (g == nil) != (err != nil) {
			t.Fatalf("%v, %v", g, err)
		}
		if err == nil && (keyed || g.remote.name == "" || g.version != 1) {
			t.Errorf("a link to %+v, version %d, keyed: %v", g.remote, g.version, keyed)
		}
		if read := len(data) - c.in.Len(); read > strangerBytes {
			t.Errorf("%d bytes were read", read)
		}
		if n := c.out.Len(); err != nil && n > preambleSize+maxNoise {
			t.Errorf("%d bytes were answered", n)
		}
	})
}

// FuzzOpen gives any answer to the opening side of a handshake.
func FuzzOpen(f *testing.F) {
	key := newPSK(testKey("one"))
	f.Add([]byte{}, true)
	f.Add([]byte{13, 0}, false)
	for verdict := range byte(7) {
		f.Add(preamble{lo: 1, hi: 1, code: verdict, noise: make([]byte, 48)}.encode(), true)
	}
	c := &scriptConn{}
	testParty("b").self.write(c)
	f.Add(append(preamble{lo: 1, hi: 1}.encode(), c.out.Bytes()...), false)
	f.Fuzz(func(t *testing.T, data []byte, keyed bool) {
		k := psk{}
		if keyed {
			k = key
		}
		c := &scriptConn{in: bytes.NewReader(data)}
		g, err := testParty("a").open(c, k, senderID{1})
		if (len(data) == 0 || data[0] != magic) && !errors.Is(err, errNotPeer) {
			t.Errorf("what is no peer led to %v", err)
		}
		if err == nil && (keyed || g.remote.name == "" || g.version != 1) {
			t.Errorf("a link to %+v, version %d, keyed: %v", g.remote, g.version, keyed)
		}
		if read := len(data) - c.in.Len(); read > strangerBytes {
			t.Errorf("%d bytes were read", read)
		}
	})
}

// FuzzHello: what is decoded is the same after encoding it again.
func FuzzHello(f *testing.F) {
	f.Add(hello{lo: 1, hi: 2, name: "node", maxMessage: 70000, features: []string{"a", ""}}.encode())
	f.Add(hello{lo: 1, hi: 1, name: string(make([]byte, maxName+1))}.encode())
	f.Add(append(make([]byte, 18), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1, 'n', 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := decodeHello(data)
		if err != nil {
			if !errors.Is(err, errProtocol) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if len(h.encode()) > maxHello {
			t.Errorf("a hello of %d bytes was taken", len(h.encode()))
		}
		again, err := decodeHello(h.encode())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(h, again, cmp.AllowUnexported(hello{})); d != "" {
			t.Error(d)
		}
	})
}

// FuzzEvents gives any bytes to the receiving side of a stream of events. What
// is delivered does not depend on how they are cut, nothing is longer than
// allowed, and acknowledgements say what was taken.
func FuzzEvents(f *testing.F) {
	stream := func(first uint64, msgs ...string) []byte {
		b := binary.AppendUvarint(nil, first)
		for _, m := range msgs {
			b = varint.AppendBytes(b, m)
		}
		return b
	}
	f.Add(stream(1, "one", "two", "three"), uint64(0))
	f.Add(stream(1, "one", "two", "three"), uint64(2))
	f.Add(stream(5, "five", "", "seven"), uint64(5))
	f.Add(stream(1, "short", string(make([]byte, 101))), uint64(0))
	f.Add(stream(maxNumber+1, "x"), uint64(7))
	f.Add([]byte{1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, uint64(1))
	f.Fuzz(func(t *testing.T, data []byte, had uint64) {
		had %= maxNumber
		l := &Links{cfg: Config{MaxMessage: 100}, metrics: newMetrics(nil, nil, nil)}
		run := func(r io.Reader) (got []string, acks []uint64, src *source) {
			src = &source{turn: make(chan struct{}, 1), had: had, acks: settling{settled: had}}
			var out bytes.Buffer
			br := bufio.NewReaderSize(r, 64)
			await := func() (*bufio.Reader, error) { return br, nil }
			a := newAcker(src, &out, 0)
			defer a.end()
			err := l.receiveFrom(t.Context(), a, false, br, await, func() {}, func() {}, func(msgs [][]byte) Ack {
				for _, m := range msgs {
					if len(m) == 0 || len(m) > 100 {
						t.Errorf("a message of %d bytes was delivered", len(m))
					}
					got = append(got, string(m))
				}
				return Ack{}
			})
			if err == nil && len(data) == 0 {
				t.Error("an empty stream is no error")
			}
			if head, _ := out.ReadByte(); head != statusOK {
				t.Errorf("the first byte is %d", head)
			}
			out.ReadByte()
			for out.Len() > 0 {
				n, err := binary.ReadUvarint(&out)
				if err != nil {
					t.Fatal(err)
				}
				acks = append(acks, n)
			}
			return got, acks, src
		}
		got, acks, src := run(bytes.NewReader(data))
		slow, slowAcks, slowSrc := run(iotest.OneByteReader(bytes.NewReader(data)))
		if !slices.Equal(got, slow) || src.had != slowSrc.had {
			t.Errorf("at once %q up to %d, byte by byte %q up to %d", got, src.had, slow, slowSrc.had)
		}
		for _, a := range [][]uint64{acks, slowAcks} {
			if !slices.IsSorted(a) {
				t.Errorf("acknowledgements go back: %d", a)
			}
			if len(a) > 0 && a[len(a)-1] > src.had {
				t.Errorf("%d was acknowledged, and %d is the last that was taken", a[len(a)-1], src.had)
			}
		}
		if n := len(data); len(got) > n {
			t.Errorf("%d messages came of %d bytes", len(got), n)
		}
	})
}

// FuzzReply gives any bytes as the answer to a request.
func FuzzReply(f *testing.F) {
	for status := range byte(6) {
		f.Add(varint.AppendBytes([]byte{status}, "body"))
	}
	f.Add([]byte{statusOK, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 50
		st := &stream{r: bufio.NewReader(bytes.NewReader(data))}
		body, err := st.readReply(limit)
		if err == nil && (data[0] != statusOK || len(body) > limit) {
			t.Errorf("status %d with %d bytes was taken", data[0], len(body))
		}
		if err == io.EOF {
			t.Error("an answer that is cut off looks like one that ended")
		}
	})
}

// FuzzRecords gives any bytes to the reader of records with checksums. What comes out does
// not depend on how they are cut, makes the same records again, and no more is read than
// those have and one that is wrong.
func FuzzRecords(f *testing.F) {
	one, _ := checked.seal(nil, []byte("one"))
	two, _ := checked.seal(one, bytes.Repeat([]byte("two"), recordAhead))
	f.Add(one)
	f.Add(two)
	f.Add(two[:len(two)-1])
	f.Add([]byte{0, 0, 0xff, 0xff, 0, 0, 0, 0})
	f.Add(append(bytes.Clone(one), 0xff, 0xff, 0, 0, 1, 2, 3, 4))
	f.Fuzz(func(t *testing.T, data []byte) {
		run := func(r io.Reader) ([]byte, error) {
			l := newRecordLayer(readerConn{r: r}, &checked, checkedMost)
			var out []byte
			b := make([]byte, 100)
			for {
				n, err := l.Read(b)
				out = append(out, b[:n]...)
				if err != nil {
					return out, err
				}
			}
		}
		got, err := run(bytes.NewReader(data))
		slow, slowErr := run(iotest.OneByteReader(bytes.NewReader(data)))
		if !bytes.Equal(got, slow) || err.Error() != slowErr.Error() {
			t.Errorf("at once %q and %v, byte by byte %q and %v", got, err, slow, slowErr)
		}
		var whole []byte
		for plain := got; len(plain) > 0; {
			n := int(binary.BigEndian.Uint16(data[len(whole):]))
			if n == 0 || n > len(plain) {
				t.Fatalf("a record of %d bytes was taken by half", n)
			}
			whole, _ = checked.seal(whole, plain[:n])
			plain = plain[n:]
		}
		if !bytes.HasPrefix(data, whole) {
			t.Errorf("%x came of %x, which has another checksum", got, data)
		}
		if err == io.EOF && len(whole) < len(data) {
			t.Errorf("%d bytes were left, and the end looks like a good one", len(data)-len(whole))
		}
	})
}

// readerConn is a connection of which only what it reads counts.
type readerConn struct {
	net.Conn // nil: nothing else is called
	r        io.Reader
}

func (c readerConn) Read(b []byte) (int, error) { return c.r.Read(b) }
