"""The client's public names."""

from strata.client.client import Client as Client
from strata.client.errors import AuthenticationError as AuthenticationError
from strata.client.errors import ConflictError as ConflictError
from strata.client.errors import DamagedDownloadError as DamagedDownloadError
from strata.client.errors import InvalidRequestError as InvalidRequestError
from strata.client.errors import JobFailedError as JobFailedError
from strata.client.errors import NotFoundError as NotFoundError
from strata.client.errors import NotReadyError as NotReadyError
from strata.client.errors import RateLimitedError as RateLimitedError
from strata.client.errors import ServiceUnavailableError as ServiceUnavailableError
from strata.client.errors import ServiceUnreachableError as ServiceUnreachableError
from strata.client.errors import StrataAPIError as StrataAPIError
from strata.client.errors import UnexpectedAnswerError as UnexpectedAnswerError
from strata.client.errors import WaitTimeoutError as WaitTimeoutError
