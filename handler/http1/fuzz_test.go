package http1

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// canned is a connection that takes everything and answers with what it has.
type canned struct {
	net.Conn
	io.Reader
}

func (c canned) Read(p []byte) (int, error)    { return c.Reader.Read(p) }
func (canned) Write(p []byte) (int, error)     { return len(p), nil }
func (canned) SetDeadline(time.Time) error     { return nil }
func (canned) SetReadDeadline(time.Time) error { return nil }

const keepInTests, readInTests = 64, 256

// asNetHTTP reads an answer by net/http. It tells whether the connection could be used
// again.
func asNetHTTP(raw []byte, method string) (a Answer, again bool, err error) {
	in := bufio.NewReader(bytes.NewReader(raw))
	for {
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return a, false, err
		}
		if res.StatusCode/100 == 1 && res.StatusCode != 101 {
			continue
		}
		a = Answer{Status: res.StatusCode, Location: strings.Trim(res.Header.Get("Location"), " \t"), RetryAfter: res.Header.Get("Retry-After")}
		if res.StatusCode == 101 {
			return a, false, nil
		}
		body, err := io.ReadAll(res.Body)
		a.Body = body[:min(len(body), keepInTests)]
		whole := err == nil && len(body) <= readInTests
		a.Cut = err != nil || len(body) > keepInTests
		return a, whole && !res.Close && in.Buffered() == 0, nil
	}
}

// FuzzAnswer reads answers as net/http reads them. What net/http refuses is refused.
// What is refused beside that breaks the rules of a header's lines.
func FuzzAnswer(f *testing.F) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntaken",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nup to the end",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\ntaken\r\n0\r\nTrailer: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ntaken\r\n0\r\n\r\nmore",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 3\r\n\r\n5\r\ntaken\r\n0\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 101 Switching Protocols\r\n\r\nwhatever",
		"HTTP/1.1 301 Moved\nLocation: /x\nX: a\n b\nConnection: foo, Close\n\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\ntaken",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\ntaken",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\ntaken",
		"HTTP/1.1 2000 OK\r\n\r\n", "HTTP/2.0 200\r\n\r\n", "HTTP/1.1  304 \r\nContent-Length: 9\r\n\r\n", "SSH-2.0-x\r\n", "",
		"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n" + strings.Repeat("x", 300),
		"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + strings.Repeat("x", 64),
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 5000) + "\r\nContent-Length: 65\r\n\r\n" + strings.Repeat("x", 64),
	} {
		for _, head := range []bool{true, false} {
			f.Add([]byte(answer), head)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, toHEAD bool) {
		method := "POST"
		if toHEAD {
			method = "HEAD"
		}
		cn := newConn(canned{Reader: bytes.NewReader(raw)})
		got, again, err := cn.exchange(t.Context(), time.Now().Add(time.Hour), &Request{
			Head: []byte("x"), ToHEAD: toHEAD, Timeout: time.Hour, Keep: keepInTests, Read: readInTests,
		})
		want, wantAgain, wantErr := asNetHTTP(raw, method)
		if err != nil {
			if wantErr == nil && !strings.Contains(err.Error(), "malformed MIME header line") && len(raw) < maxHead {
				t.Fatalf("refused: %v, and net/http reads %+v", err, want)
			}
			return
		}
		if wantErr != nil {
			t.Fatalf("read %+v, and net/http: %v", got, wantErr)
		}
		if got.Status != want.Status || got.Location != want.Location || got.RetryAfter != want.RetryAfter || !bytes.Equal(got.Body, want.Body) || got.Cut != want.Cut {
			t.Fatalf("read %+v, and net/http %+v", got, want)
		}
		if again && !wantAgain {
			t.Fatal("the connection is kept, and net/http would close it")
		}
	})
}
