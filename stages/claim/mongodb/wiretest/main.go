package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

func main() {
	var o options
	flag.DurationVar(&o.skew, "skew", 0, "how far the server's clock is ahead of the machine's")
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "address to listen on")
	flag.StringVar(&o.journal, "journal", "", "file that keeps everything through a kill; none: it is forgotten")
	flag.BoolVar(&o.noStreams, "no-streams", false, "refuse change streams, as servers without them do")
	flag.StringVar(&o.tls, "tls", "", "PEM file with a certificate and its key; none: no TLS")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "wiretest:", err)
		os.Exit(1)
	}
}

// options are those of the command line.
type options struct {
	listen, journal, tls string
	skew                 time.Duration
	noStreams            bool
}

func run(o options) error {
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	s := newServer(l.Addr().String(), o.skew)
	s.cursors.noStreams = o.noStreams
	if o.tls != "" {
		pair, err := tls.LoadX509KeyPair(o.tls, o.tls)
		if err != nil {
			return err
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	if o.journal != "" {
		if err := s.recover(o.journal); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			_ = serve(c, s.answer) // how a connection ends concerns nobody else
		}()
	}
}
