package pipeline

import "github.com/waybill-dev/waybill/pipeline/internal/node"

// Codes of problems that any config can have. They are stable; tools act on
// them.
const (
	CodeUnreadable   = node.CodeUnreadable   // the file cannot be read
	CodeTooLarge     = node.CodeTooLarge     // more than 1 MiB
	CodeNotUTF8      = node.CodeNotUTF8      // bytes that are not UTF-8
	CodeSyntax       = node.CodeSyntax       // not YAML, tabs as indentation too
	CodeEmptyFile    = node.CodeEmptyFile    // nothing but comments
	CodeTwoDocuments = node.CodeTwoDocuments // more than one YAML document
	CodeTooDeep      = node.CodeTooDeep      // nested deeper than 64
	CodeAliasBomb    = node.CodeAliasBomb    // aliases expand to too much
	CodeMergeKey     = node.CodeMergeKey     // <<
	CodeDuplicateKey = node.CodeDuplicateKey // a key set twice
	CodeBadKey       = node.CodeBadKey       // a key that is not plain text
	CodeTag          = node.CodeTag          // !anything
	CodeUnresolved   = node.CodeUnresolved   // ${env:} or ${file:} without a value
	CodeBadReference = node.CodeBadReference // malformed, or where none may stand
	CodeUnknownKey   = node.CodeUnknownKey   // not a key of this mapping
	CodeMissingKey   = node.CodeMissingKey   // a required key is not there
	CodeWrongType    = node.CodeWrongType    // a list where text is wanted, ...
	CodeEmptyValue   = node.CodeEmptyValue   // a key with nothing behind it
	CodeBadValue     = node.CodeBadValue     // not one of the allowed values
	CodeOutOfRange   = node.CodeOutOfRange   // a number, time or size out of bounds

	CodeBadDuration   = "bad-duration"   // not a duration or range of durations
	CodeBadSize       = "bad-size"       // not a size in bytes
	CodeBadCount      = "bad-count"      // not a count
	CodeBadRate       = "bad-rate"       // not a rate
	CodeBadExpression = "bad-expression" // an expression that does not compile
)

// Codes of problems with the pipeline as a whole.
const (
	CodeBadVersion    = "bad-version"      // waybill: is not v1
	CodeBadName       = "bad-name"         // a name with characters that it cannot have
	CodeDuplicateName = "duplicate-name"   // two stages of one name
	CodeNoStages      = "no-stages"        // an empty list of stages
	CodeUnknownStage  = "unknown-stage"    // no kind of that name
	CodeNoKind        = "no-kind"          // a stage without a kind
	CodeTwoKinds      = "two-kinds"        // a stage with two kinds
	CodeClaimFirst    = "claim-first"      // the first stage, and only it, is a source
	CodeLanesSecond   = "distribute-place" // a distributor stands second, once
)
