package ops

import (
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"agentctl/agent/config"
)

// ownHost refuses requests that name another host. A page of the web can have
// its own name lead to 127.0.0.1 and then ask us, in its visitor's browser, as
// if we were its server (DNS rebinding); but the name that it asks for stays
// its own. Requests with no Host are not a browser's.
func ownHost(httpAddr string, next http.HandlerFunc) http.HandlerFunc {
	own := hostOf(httpAddr)
	return func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r.Host)
		_, notIP := netip.ParseAddr(host)
		if host == "" || notIP == nil || host == own || host == "localhost" || strings.HasSuffix(host, ".localhost") {
			next(w, r)
			return
		}
		writeError(w, errorf(http.StatusMisdirectedRequest,
			"no answer to the host name %q: ask an IP address or localhost, or give the agent the name in -http-addr", host))
	}
}

// ownOrigin refuses what a page of another origin has a browser ask for: such a
// page may not read the answer, but each request costs the agent something. A
// browser says where a request comes from in Sec-Fetch-Site, older ones in
// Origin; programs send neither.
func ownOrigin(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
		foreign := site != "" && site != "same-origin" && site != "none"
		if origin != "" {
			u, err := url.Parse(origin)
			foreign = foreign || err != nil || !strings.EqualFold(u.Host, r.Host)
		}
		if foreign {
			writeError(w, errorf(http.StatusForbidden, "no answer to a page of another origin: ask from a program, or type the address"))
			return
		}
		next(w, r)
	}
}

// noSniff keeps browsers from taking an answer for anything else than it says.
func noSniff(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// withToken lets only those in who have the token that a file holds; without a
// file, all. The file is read each time, so that a new token needs no restart.
func withToken(file string, next http.HandlerFunc) http.HandlerFunc {
	if file == "" {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) {
		want, err := config.ReadSecret(file)
		if err != nil {
			writeError(w, fmt.Errorf("the token of the agent's -http-token-file cannot be read, so nobody is let in: %w", err))
			return
		}
		scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare([]byte(strings.TrimSpace(got)), []byte(want)) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			why := "this needs the agent's token, and none was given"
			if scheme != "" {
				why = "the token that was given is not the agent's"
			}
			writeError(w, errorf(http.StatusUnauthorized, "%s: agentctl takes it from -http-token-file=FILE or AGENTCTL_HTTP_TOKEN_FILE, and other programs send Authorization: Bearer TOKEN", why))
			return
		}
		next(w, r)
	}
}

// hostOf is the host of host:port or of a lone host, in lower case.
func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]")
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}
