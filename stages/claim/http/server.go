package http

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
)

const (
	// maxRequest bounds a request's body.
	maxRequest = 8 << 20
	// maxReading bounds how many requests are read at a time.
	maxReading = 64
	// headerBound and bodyBound are how long a client may take to send.
	headerBound = 10 * time.Second
	bodyBound   = time.Minute
	// closeBound is how long the last answers may take to leave.
	closeBound = 2 * time.Second
	// retryAfter is what a client is asked to wait, in seconds.
	retryAfter = "1"
	// lookAgain is how soon a claim that found nothing is worth repeating: the
	// engine is not told of requests.
	lookAgain = 50 * time.Millisecond
)

// server answers requests, and is the source's input.
type server struct {
	config
	buffer   *buffer
	log      *slog.Logger
	listener net.Listener
	http     *http.Server
	reading  chan struct{}
	origin   *http.CrossOriginProtection

	start  sync.Once
	ending chan struct{} // closed when the run drains: nothing is claimed any more
	closed chan struct{}
	drain  sync.Once
}

var _ local.Records = (*server)(nil)

func newServer(c config, b *buffer, l net.Listener, log *slog.Logger) *server {
	s := &server{config: c, buffer: b, log: log, listener: l, reading: make(chan struct{}, maxReading),
		origin: http.NewCrossOriginProtection(), ending: make(chan struct{}), closed: make(chan struct{})}
	s.http = &http.Server{Handler: http.HandlerFunc(s.handle), ReadHeaderTimeout: headerBound, IdleTimeout: bodyBound,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	return s
}

// serve begins to answer, once, until ctx ends.
func (s *server) serve(ctx context.Context) {
	s.start.Do(func() {
		s.log.Info("work is taken", "url", "http://"+s.listener.Addr().String()+s.path)
		context.AfterFunc(ctx, s.stopTaking)
		go func() {
			if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
				s.log.Error("no more work is taken", "error", err)
			}
		}()
	})
}

func (s *server) stopTaking() {
	s.drain.Do(func() {
		s.buffer.drain()
		close(s.ending)
	})
}

// Next implements local.Records.
func (s *server) Next() (*local.Record, error) { return s.buffer.next(), nil }

// Coming implements local.Records.
func (s *server) Coming() (int64, time.Time) { return s.buffer.count(), time.Now().Add(lookAgain) }

// Close answers who still waits, and ends the server.
func (s *server) Close() error {
	s.stopTaking()
	close(s.closed)
	ctx, stop := context.WithTimeout(context.Background(), closeBound)
	defer stop()
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
	}
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// handle answers one request.
func (s *server) handle(w http.ResponseWriter, r *http.Request) {
	if status, why := s.refusal(r); why != nil {
		s.refuse(w, status, why)
		return
	}
	body, err := s.read(w, r)
	if err != nil {
		s.refuse(w, statusOf(err), err)
		return
	}
	items, err := s.items(r, body)
	if err != nil {
		s.refuse(w, http.StatusBadRequest, err)
		return
	}
	answers, err := s.buffer.offer(items)
	if err != nil {
		s.refuse(w, statusOf(err), err)
		return
	}
	defer s.buffer.leave(answers)
	status := http.StatusAccepted
	if s.buffer.journal == nil {
		status = s.wait(r.Context(), answers)
	}
	s.reply(w, status, map[string]any{"items": results(answers)})
}

// refusal says what is wrong with a request before it is read.
func (s *server) refusal(r *http.Request) (int, error) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]")
	}
	switch {
	case r.URL.Path != s.path:
		return http.StatusNotFound, pipeline.Fail("not-found", "nothing is here").WithHint("work is taken at %s", s.path)
	case !s.public && !isLoopback(host): // a page that gave its own name our address
		return http.StatusForbidden, pipeline.Fail("bad-host", "%q is not a name of this machine", host)
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, pipeline.Fail("bad-method", "work comes by POST")
	case s.origin.Check(r) != nil:
		return http.StatusForbidden, pipeline.Fail("cross-origin", "pages of other sites may not give work")
	case !s.authorized(r):
		return http.StatusUnauthorized, pipeline.Fail("unauthorized", "a bearer token is wanted")
	case s.isEnding():
		return http.StatusServiceUnavailable, errDraining
	case s.buffer.full():
		return http.StatusTooManyRequests, errFull
	}
	return 0, nil
}

func (s *server) isEnding() bool {
	select {
	case <-s.ending:
		return true
	default:
		return false
	}
}

// authorized compares digests, so that the time taken tells nothing.
func (s *server) authorized(r *http.Request) bool {
	if s.token == "" {
		return true
	}
	shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	a, b := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(s.token))
	return ok && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// read reads the body, within bounds.
func (s *server) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	select {
	case s.reading <- struct{}{}:
	default:
		return nil, errFull
	}
	defer func() { <-s.reading }()
	deadline := http.NewResponseController(w)
	// Connections that know no deadlines (tests) do without.
	_ = deadline.SetReadDeadline(time.Now().Add(bodyBound))
	defer func() { _ = deadline.SetReadDeadline(time.Time{}) }()
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
}

// wait waits until the items have ended, and returns the status: 503 if the run
// ends before one of them.
func (s *server) wait(ctx context.Context, answers []answer) int {
	status := http.StatusOK
	for _, a := range answers {
		if !s.waitFor(ctx, a) {
			status = http.StatusServiceUnavailable
		}
	}
	return status
}

// waitFor reports whether an item came to its end. One in flight may still do so
// while the run drains; one that waits will not.
func (s *server) waitFor(ctx context.Context, a answer) bool {
	select {
	case <-a.done:
		return true
	case <-ctx.Done():
		return false // and nobody reads the answer
	case <-s.ending:
	}
	if !s.buffer.isTaken(a.work) {
		return false
	}
	select {
	case <-a.done:
		return true
	case <-ctx.Done():
	case <-s.closed:
	}
	return false
}

// statusOf is the answer to a request that was not accepted.
func statusOf(err error) int {
	var large *http.MaxBytesError
	switch code := pipeline.CodeOf(err); {
	case errors.Is(err, errFull):
		return http.StatusTooManyRequests
	case errors.Is(err, errDraining):
		return http.StatusServiceUnavailable
	case errors.As(err, &large) || code == "too-many-items":
		return http.StatusRequestEntityTooLarge
	case code == "duplicate-id":
		return http.StatusConflict
	case pipeline.KindOf(err) == pipeline.Unavailable: // the checkpoint cannot be written
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// refuse answers with an error.
func (s *server) refuse(w http.ResponseWriter, status int, err error) {
	switch status {
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", retryAfter)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
		w.Header().Set("Connection", "close")
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	s.reply(w, status, map[string]any{"error": err.Error(), "code": pipeline.CodeOf(err)})
}

func (s *server) reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", pipeline.MediaJSON)
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.log.Debug("an answer did not reach its client", "error", err)
	}
}

// result is what a client is told of an item.
type result struct {
	ID        string          `json:"id"`
	Duplicate bool            `json:"duplicate,omitempty"`
	Result    pipeline.Result `json:"result,omitempty"`
	Digest    pipeline.Digest `json:"digest,omitempty"`
	Error     string          `json:"error,omitempty"`
	Code      string          `json:"code,omitempty"`
}

// results lists the items with the outcomes of those that have ended.
func results(answers []answer) []result {
	out := make([]result, len(answers))
	for i, a := range answers {
		out[i] = result{ID: a.id, Duplicate: a.duplicate}
		select {
		case <-a.done:
			out[i].Result, out[i].Digest = a.outcome.Result, a.outcome.Digest
			if a.outcome.Cause != nil {
				out[i].Error, out[i].Code = a.outcome.Cause.Error(), pipeline.CodeOf(a.outcome.Cause)
			}
		default:
		}
	}
	return out
}
