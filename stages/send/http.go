package send

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/waybill-dev/waybill/pipeline"
)

const (
	// maxAnswer bounds what is read of an answer: enough to use the connection
	// again and to quote a failure.
	maxAnswer = 64 << 10
	// maxQuote is how much of an answer an error cites.
	maxQuote = 200
	// maxRedirects inside one host.
	maxRedirects = 5
	// maxRetryAfter bounds what a server can make us wait.
	maxRetryAfter = time.Hour
)
