package membership

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

const srvPrefix = "dns+srv://"

// srvResolver looks up SRV records; *[net.Resolver] is one.
type srvResolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
}

// resolve replaces each dns+srv://NAME by the hosts and ports of its SRV records.
// Other addresses stay: memberlist looks names up itself, each time. The error tells
// which names could not be looked up; the other addresses are returned beside it.
func resolve(ctx context.Context, r srvResolver, addrs []string) (out []string, err error) {
	var errs []error
	for _, a := range addrs {
		name, ok := strings.CutPrefix(a, srvPrefix)
		if !ok {
			out = append(out, a)
			continue
		}
		_, records, err := r.LookupSRV(ctx, "", "", name)
		// A lone record without a target says that there is no such service.
		records = slices.DeleteFunc(slices.Clone(records), func(rec *net.SRV) bool { return rec.Target == "." || rec.Target == "" })
		if err == nil && len(records) == 0 {
			err = errors.New("no SRV records")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a, err))
			continue
		}
		for _, rec := range records {
			out = append(out, net.JoinHostPort(strings.TrimSuffix(rec.Target, "."), strconv.Itoa(int(rec.Port))))
		}
	}
	return out, errors.Join(errs...)
}

const (
	// joinMost is how many of the addresses that a name stands for are joined in one try.
	// Each join brings all members, so that many would cost a large cluster as much as one
	// start of a node may. In the next try it is others.
	joinMost = 8
	// someLookup bounds the lookup that tells how many there are. If it fails, memberlist
	// looks the name up.
	someLookup = 2 * time.Second
)

// ipLookup looks up the addresses of a host.
type ipLookup func(ctx context.Context, host string) ([]netip.Addr, error)

// someOf replaces a host that stands for many addresses by some of them, and many records
// by some. All others stay.
func someOf(ctx context.Context, lookup ipLookup, addrs []string) (some []string) {
	ctx, cancel := context.WithTimeout(ctx, someLookup)
	defer cancel()
	addrs = draw(addrs)
	for _, addr := range addrs {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			host, port = strings.Trim(addr, "[]"), ""
		}
		if _, err := netip.ParseAddr(host); err == nil || strings.Contains(addr, "/") { // memberlist takes NODE/ADDR too
			some = append(some, addr)
			continue
		}
		ips, err := lookup(ctx, host)
		if err != nil || len(ips) <= joinMost {
			some = append(some, addr)
			continue
		}
		for _, ip := range draw(ips) {
			if addr = ip.Unmap().String(); port != "" {
				addr = net.JoinHostPort(addr, port)
			}
			some = append(some, addr)
		}
	}
	return draw(some)
}

// draw picks joinMost of a list at random, if it has more.
func draw[T any](list []T) []T {
	if len(list) <= joinMost {
		return list
	}
	list = slices.Clone(list)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:joinMost]
}

// flatError gives an error's text on one line: memberlist writes several below
// one another.
type flatError struct{ error }

func flatten(errs ...error) error { return flatError{errors.Join(errs...)} }

func (e flatError) Error() string {
	var parts []string
	for line := range strings.Lines(e.error.Error()) {
		if line = strings.TrimLeft(strings.TrimSpace(line), "* "); line != "" {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, " ")
}

func (e flatError) Unwrap() error { return e.error }
