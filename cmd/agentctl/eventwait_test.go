package main

import (
	"strings"
	"testing"
)

func TestTheEndpointThatAnAgentNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rpc, told, want string }{
		{"127.0.0.1:7373", "127.0.0.1:7374", "127.0.0.1:7374"},
		{"localhost:7373", "[::1]:7374", "[::1]:7374"},
		{"unix:/run/rpc", "127.0.0.1:7374", "127.0.0.1:7374"},
		{"unix:/run/rpc", "unix:/run/http", "unix:/run/http"},
		{"unix:/run/rpc", "[::]:7374", "127.0.0.1:7374"},
		{"10.0.0.5:7373", "[::]:7374", "10.0.0.5:7374"},
		{"10.0.0.5:7373", "0.0.0.0:7374", "10.0.0.5:7374"},
		{"node5:7373", "0.0.0.0:7374", "node5:7374"},
		{"[fd00::5]:7373", "[::]:7374", "[fd00::5]:7374"},
		{"10.0.0.5:7373", "10.0.0.5:7374", "10.0.0.5:7374"},
		// Here another agent may listen there, or none.
		{"10.0.0.5:7373", "127.0.0.1:7374", "error: only its own host"},
		{"node5:7373", "unix:/run/http", "error: only its own host"},
		{"127.0.0.1:7373", "", "error: names no operations endpoint"},
		{"127.0.0.1:7373", "somewhere", "error: is no address"},
	} {
		got, err := endpointOf(c.rpc, c.told)
		wantErr, fails := strings.CutPrefix(c.want, "error: ")
		switch {
		case fails && (err == nil || !strings.Contains(err.Error(), wantErr)):
			t.Errorf("%s, %s: %q, %v, want %s", c.rpc, c.told, got, err, c.want)
		case !fails && (err != nil || got != c.want):
			t.Errorf("%s, %s: %q, %v, want %s", c.rpc, c.told, got, err, c.want)
		}
	}
}
