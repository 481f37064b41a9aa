package gossip

import (
	"bytes"
	"compress/lzw"
	"encoding/binary"
	"hash/crc32"
	"runtime"
	"testing"

	"github.com/hashicorp/serf/serf"
)

// compressed is a compressed message as memberlist makes it.
func compressed(t testing.TB, plain []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := lzw.NewWriter(&buf, lzw.LSB, lzwWidth)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	head := []byte{compressType, 0x82, 0xa4, 'A', 'l', 'g', 'o', 0, 0xa3, 'B', 'u', 'f', 0xdb, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(head[len(head)-4:], uint32(buf.Len()))
	return append(head, buf.Bytes()...)
}

func compound(parts ...[]byte) []byte {
	b := []byte{compoundType, byte(len(parts))}
	for _, p := range parts {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
	}
	return append(b, bytes.Join(parts, nil)...)
}

func checked(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{crcType}, crc32.ChecksumIEEE(b)), b...)
}

// grown is by how many bytes of memory a function asked for. It counts those of all
// goroutines, so no test here is parallel.
func grown(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Packets of members arrive as memberlist would have read them. What grows beyond them is
// refused before it is in memory.
func TestPacketsAreInflatedWithinBounds(t *testing.T) {
	user := []byte("\x08\x03hello")
	for name, packet := range map[string][]byte{
		"plain": user, "with a checksum": checked(user), "compressed": compressed(t, user),
		"compressed with a checksum": checked(compressed(t, user)),
	} {
		if got, err := inflated(packet); err != nil || !bytes.Equal(got, user) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, packet := range map[string][]byte{
		"a wrong checksum": append([]byte{crcType, 0, 0, 0, 0}, compressed(t, user)...),
		"no compression":   {compressType, 0x82, 1, 2, 3},
		"a short compound": {compoundType, 200, 1},
		"nothing":          {},
	} {
		if got, err := inflated(packet); err != nil || !bytes.Equal(got, packet) {
			t.Errorf("%s is memberlist's to refuse: %q, %v", name, got, err)
		}
	}
	bomb := compressed(t, make([]byte, 8<<20))
	several := compound(user, compressed(t, user))
	deep := user
	for range mostCompounds + 1 {
		deep = compound(deep)
	}
	for name, packet := range map[string][]byte{
		"a bomb": bomb, "one within a compound": compound(bomb[:1000]), "one within another": compressed(t, compressed(t, user)),
		"several": several, "several, compressed": compressed(t, several), "behind a second checksum": checked(checked(compressed(t, user))),
		"many layers": deep,
	} {
		var err error
		if n := grown(func() { _, err = inflated(packet) }); err == nil || n > 1<<20 {
			t.Errorf("%s: error %v, %d bytes were asked for", name, err, n)
		}
	}
}

// A full sync of lists of nothing is refused before it is decoded, and the largest that
// serf makes is not.
func TestMessagesWithManyValuesAreRefused(t *testing.T) {
	var s syncState
	s.StatusLTimes = map[string]serf.LamportTime{}
	for i := range 512 {
		e := &recentEvents{LTime: serf.LamportTime(i)}
		for range 50 {
			e.Events = append(e.Events, struct {
				Name    string
				Payload []byte
			}{"kong", make([]byte, 500)})
		}
		s.Events = append(s.Events, e)
	}
	largest, err := s.encode()
	if err != nil || !fits(largest) {
		t.Errorf("the largest full sync: %v", err)
	}
	list := append([]byte("\x02\x81\xa6Events\xdd\x01\x00\x00\x00"), bytes.Repeat([]byte{0xc0}, 1<<24)...)
	d := &frontDelegate{Delegate: nothing{}, crowd: &crowd{}, oversized: func(string, error) {}}
	if n := grown(func() { d.MergeRemoteState(list, false); d.NotifyMsg(list) }); n > 1<<20 || fits(list) {
		t.Errorf("%d bytes were asked for", n)
	}
}
