"""Declares trial's C{--reporter=records}; seen only by who has this folder in the path."""

from twisted.plugins.twisted_trial import _Reporter

records = _Reporter(
    "Records",
    "tools.testing.trial_reporter",
    description="a line of JSON a test, and failures at once",
    longOpt="records",
    shortOpt=None,
    klass="RecordingReporter",
)
