package ops

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"agentctl/agent/admission"
	"agentctl/agent/api"
	"agentctl/agent/logs"
)

// door lets connections and requests in, so that a probe gets its answer whatever
// others hold.
//
// A connection works while one of its requests is answered, and waits until the header
// of the next has come. So silent connections and slow headers are given up for
// newcomers. Requests for the health need no share: their answers are short.
type door struct {
	conns    *admission.Limit
	requests *admission.Share
	sampled  logs.Sampled
	refused  *prometheus.CounterVec
}

// Values of the label reason.
const (
	refusedWaiting  = "waiting_connection"
	refusedConns    = "too_many_connections"
	refusedRequests = "too_many_requests"
)

func newDoor(logger *slog.Logger, metrics prometheus.Registerer) *door {
	d := &door{
		conns:    admission.NewLimit(api.MaxConns, api.MaxConnsEach),
		requests: admission.NewShare(api.MaxRequests, api.MaxRequestsEach),
		refused: promauto.With(metrics).NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_http_refused_total",
			Help: "Connections and requests that the operations endpoint refused, or gave up for others, by reason.",
		}, []string{"reason"}),
	}
	d.sampled.Logger = logger
	for _, reason := range []string{refusedWaiting, refusedConns, refusedRequests} { // from the beginning, so that an increase from 0 is one
		d.refused.WithLabelValues(reason)
	}
	return d
}

// refuse counts and logs what is refused. client is whose connection or request made
// it necessary.
func (d *door) refuse(reason, client string) {
	d.refused.WithLabelValues(reason).Inc()
	d.sampled.Log(slog.LevelWarn, "http: too many connections or requests", time.Second, "reason", reason, "client", client)
}

// clientOf names the client of a request.
func clientOf(r *http.Request) string { return admission.ClientAt("unix", r.RemoteAddr) }

// twice is a share of which one client may have half.
func twice(each int) *admission.Share { return admission.NewShare(2*each, each) }

// admitting is a listener that accepts what a door lets in.
type admitting struct {
	net.Listener
	door *door
}

func (l admitting) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		of, gaveUp, ok := l.door.conns.Admit(conn.RemoteAddr(), func() { conn.Close() })
		if gaveUp {
			l.door.refuse(refusedWaiting, admission.ClientOf(conn.RemoteAddr()))
		}
		if ok {
			return &admitted{conn, of}, nil
		}
		conn.Close()
		l.door.refuse(refusedConns, admission.ClientOf(conn.RemoteAddr()))
	}
}

// admitted is a connection that was let in.
type admitted struct {
	net.Conn
	of *admission.Conn
}

func (c *admitted) Close() error {
	c.of.Leave()
	return c.Conn.Close()
}

type connKey struct{}

// withConn lets requests find the connection that they came by.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// isHealth tells whether a request is a probe's.
func isHealth(r *http.Request) bool { return r.URL.Path == "/healthz" || r.URL.Path == "/readyz" }

// serve lets requests in. One whose connection was given up is not begun: nobody
// would get its answer.
func (d *door) serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connKey{}).(*admitted); ok {
			if !conn.of.Work() {
				return
			}
			defer conn.of.Wait()
		}
		if !isHealth(r) {
			leave, ok := d.requests.Enter(clientOf(r))
			if !ok {
				d.refuse(refusedRequests, clientOf(r))
				writeError(w, errorf(http.StatusServiceUnavailable, "too many requests are answered already, %d for each address at most: try again", api.MaxRequestsEach))
				return
			}
			defer leave()
		}
		next.ServeHTTP(w, r)
	})
}
