package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"agentctl/handler/http1"
)

// limit is how long a POST may take.
const limit = 10 * time.Second

// newPoster makes what POSTs messages, one at a time, on a connection that is kept.
func newPoster(client, to string) (func(context.Context, []byte) error, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	switch client {
	case "net/http":
		return withNetHTTP(to), nil
	case "http1":
		return withHTTP1(u), nil
	}
	return nil, fmt.Errorf("-client=%s: there are net/http and http1", client)
}

func withNetHTTP(to string) func(context.Context, []byte) error {
	client := &http.Client{Timeout: limit}
	return func(ctx context.Context, message []byte) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(message))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return check(resp.StatusCode, err)
	}
}

func withHTTP1(u *url.URL) func(context.Context, []byte) error {
	client := http1.New(http1.Config{
		Dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", u.Host)
		},
		Idle: 1, IdleTimeout: time.Minute,
	})
	return func(ctx context.Context, message []byte) error {
		head := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", u.RequestURI(), u.Host, len(message))
		a, err := client.Do(ctx, &http1.Request{Head: head, Body: message, Timeout: limit, Read: 1 << 16})
		return check(a.Status, err)
	}
}

func check(status int, err error) error {
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("answered %d", status)
	}
	return err
}
